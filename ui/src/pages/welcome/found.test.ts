import { expect, it } from 'vitest';

import type { About, Check, ProcessTable, SeriesInfo } from '../../lib/bindings';
import { found, headline, looked, missing } from './found';

const GIB = 2 ** 30;
const about = {
  machine: {
    hostname: 'atlas',
    os: 'Debian GNU/Linux 12',
    kernel: '6.1.0',
    cpu_model: 'AMD Ryzen 9 7950X 16-Core Processor',
    cores: 32,
    memory_bytes: 62.7 * GIB,
    container: null,
  },
  gpu: {
    name: 'NVIDIA GeForce RTX 4090',
    vram_total_bytes: 24 * GIB,
    driver_version: '560.35',
    power_limit_watts: null,
    missing: [],
    others: [],
  },
} as unknown as About;
const series = ['nvme0n1', 'sda'].map(
  (subject) => ({ key: { metric: 'disk.read', subject }, subject_kind: 'disk' }) as SeriesInfo,
);
const table = (vram_unknown: string | null): ProcessTable => ({
  at_ms: 1,
  interval_ms: 5000,
  processes: [],
  vram_unknown,
});
const check = (name: string, verdict: Check['verdict']): Check => ({
  name,
  verdict,
  finding: `${name} found`,
  advice: 'Do it.',
  by_hand: `see ${name}`,
});

it('says what is known of a card and leaves out what is not', () => {
  expect(found(about, series, [], null)[0]).toMatchObject({
    name: 'NVIDIA RTX 4090',
    what: '24.0 GiB, driver 560.35',
    state: 'ok',
  });
  expect(found(about, series, [], null)[1]).toMatchObject({
    name: 'AMD Ryzen 9 7950X',
    what: '32 threads, 62.7 GiB, 2 disks',
  });
});

it('leaves out what the system does not say of the machine', () => {
  const machine = { ...about.machine, cpu_model: '', cores: null, memory_bytes: null };
  const list = found({ ...about, machine }, series, [], null);
  expect(list[1]).toMatchObject({ name: 'This machine', what: '2 disks' });
});

it('VRAM of processes that is not known is said in words', () => {
  const last = found(about, [], [], table('no permission')).at(-1);
  expect(last).toMatchObject({ state: 'warn', more: 'VRAM of each is not known: no permission' });
});

it('claims to have looked only at what it did look at', () => {
  expect(looked(about, [], null)).toBe(
    'Plimsoll looked at the GPU. It has changed nothing and sends nothing anywhere.',
  );
  expect(looked({ ...about, gpu: null }, [], table(null))).toContain('this machine and 0 processes');
  expect(headline({ ...about, gpu: null })).toContain('no GPU');
});

it('names a missing GPU once, with its reason and the command to look oneself', () => {
  const sources = [
    { name: 'gpu', state: 'absent' as const, reason: 'No driver', since_ms: 0, last_ms: null },
  ];
  const list = missing({ ...about, gpu: null }, sources, [
    check('NVIDIA driver', 'bad'),
    check('Tray', 'limited'),
    check('Disk', 'good'),
  ]);
  expect(list.map((m) => m.name)).toEqual(['GPU', 'Tray']);
  expect(list[0]).toMatchObject({ what: 'No driver', command: 'see NVIDIA driver' });
});
