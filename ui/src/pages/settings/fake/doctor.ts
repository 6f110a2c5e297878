import type { Check, Verdict } from '../../../lib/bindings';
import type { Handlers } from '../../../lib/host/fake';

const check = (name: string, verdict: Verdict, finding: string, by_hand: string, advice = ''): Check => ({
  name,
  verdict,
  finding,
  advice,
  by_hand,
});

const CHECKS = [
  check('NVIDIA driver', 'good', 'Driver 560.35 on a GeForce RTX 4090', 'nvidia-smi'),
  check('NVML', 'good', 'libnvidia-ml.so.1 in /usr/lib/x86_64-linux-gnu', 'ldconfig -p | grep libnvidia-ml'),
  check(
    'Tray',
    'limited',
    'The desktop shows no tray icons',
    'busctl --user list | grep StatusNotifierWatcher',
    'Closing the window asks whether to quit. On GNOME, install the AppIndicator extension.',
  ),
  check('Open files', 'good', 'At most 524288', 'ulimit -n'),
  check('Disk', 'good', '881 GiB free where the data is kept', 'df -h ~/.local/share/plimsoll'),
];

export const doctorAnswers: Handlers = {
  doctor: () => ({ checks: CHECKS }),
  'doctor.bundle': ({ path }) => ({ path, bytes: 182_400 }),
};
