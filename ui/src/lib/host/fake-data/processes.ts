// Who runs on the invented machine.

import type { Process } from '../../bindings';
import type { Handlers } from '../fake';
import { CallError } from '../types';
import { GIB, wave } from './noise';

function processes(gpu: boolean, now: number): Process[] {
  const one = (
    pid: number,
    name: string,
    unit: string | null,
    cpu: number,
    rss: number,
    vram: number,
    more: Partial<Process> = {},
  ): Process => ({
    pid,
    parent: 1,
    name,
    command: `/usr/bin/${name} --port 80${pid % 100}`,
    uid: 1000,
    user: 'mara',
    container: null,
    unit,
    cpu_percent: cpu,
    rss_bytes: rss * GIB,
    vram_bytes: gpu && vram ? vram * GIB : null,
    threads: 12,
    ports: unit ? [8000 + (pid % 100)] : [],
    started_ms: now - pid * 60_000,
    cpu_trace: Array.from({ length: 120 }, (_, i) =>
      Math.max(0, cpu * (1 + wave(pid, now - (120 - i) * 5000, 30_000))),
    ),
    own: false,
    ...more,
  });
  return [
    one(4121, 'llama-server', 'llama-chat.service', 112, 1.9, 15.5),
    one(4188, 'llama-server', 'llama-embed.service', 8, 0.6, 1.6),
    one(2207, 'python3', null, 12, 1.7, 2.6, { container: 'whisper' }),
    one(2208, 'python3', null, 2, 0.5, 0, { container: 'whisper' }),
    one(1520, 'Xorg', null, 3, 0.3, 0.6, { user: 'root', uid: 0 }),
    one(1688, 'gnome-shell', null, 4, 0.5, 0.3),
    one(988, 'redis-server', 'redis-server.service', 3, 1.8, 0, { user: 'redis', uid: 112 }),
    one(1201, 'qdrant', null, 6, 3.4, 0, { container: 'qdrant' }),
    one(6120, 'firefox', null, 11, 2.8, 0),
    one(6121, 'code', null, 5, 1.4, 0),
    one(7001, 'plimsoll-desktop', null, 0.6, 0.05, 0, { own: true }),
    one(7002, 'WebKitWebProcess', null, 1.1, 0.18, 0, { own: true }),
    ...Array.from({ length: 60 }, (_, i) =>
      one(300 + i, `kworker/${i}`, null, 0, 0, 0, { user: 'root', uid: 0, command: '' }),
    ),
  ];
}

/** The table, one process more closely, and ending one. */
export function processAnswers(gpu: boolean, start: number): Handlers {
  const ended = new Set<number>();
  const table = () =>
    processes(gpu, Date.now())
      .filter((p) => !ended.has(p.pid))
      // A process is known by its pid and when it started: the latter must not move.
      .map((p) => ({ ...p, started_ms: start - p.pid * 60_000 }));
  return {
    processes: () => ({
      at_ms: Date.now(),
      interval_ms: 5000,
      processes: table(),
      vram_unknown: gpu ? null : 'No NVIDIA driver on this machine',
    }),
    'processes.end': ({ pid, kill }) => {
      // The model server takes its time, as real ones do.
      if (kill || pid !== 4121) ended.add(pid);
      return { message: '' };
    },
    'processes.detail': ({ pid }) => {
      const process = table().find((p) => p.pid === pid);
      if (!process)
        throw new CallError({ code: 'not_found', message: `Process ${pid} has ended.`, hint: null });
      const wobble = (value: number) => process.cpu_trace.map((_, i) => value * (1 + 0.01 * Math.sin(i / 3)));
      return {
        process,
        nice: 0,
        executable: `/usr/bin/${process.name}`,
        parent_name: 'systemd',
        open_files: 41,
        open_files_limit: 1024,
        memory_limit_bytes: process.unit?.startsWith('llama') ? 8 * GIB : null,
        listens: process.unit ? ['127.0.0.1:8080'] : [],
        rss_trace: wobble(process.rss_bytes),
        vram_trace:
          process.vram_bytes === null ? process.cpu_trace.map(() => null) : wobble(process.vram_bytes),
      };
    },
  };
}
