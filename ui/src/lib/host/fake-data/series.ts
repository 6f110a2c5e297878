// What is measured on the invented machine, and how it was at any moment.

import type { Query, SeriesAnswer, SubjectKind, Unit } from '../../bindings';
import { GIB, MIB, mix, wave, type Fn } from './noise';

export const GPU = 'GPU-5f3c2a10-8d41-4a7e-9f0b-2c6d1e7a9b34';

export interface FakeSeries {
  metric: string;
  subject: string;
  label: string;
  kind: SubjectKind;
  unit: Unit;
  cadence: number;
  counter?: boolean;
  at: Fn;
}

const vramUsed: Fn = (t) => {
  const phase = (t % 5_400_000) / 5_400_000;
  const base = phase < 0.42 ? 19.1 : phase < 0.425 ? 5.4 : 20.5;
  return base * GIB + 0.06 * GIB * wave(3, t, 20_000);
};

export function catalogue(gpu: boolean): FakeSeries[] {
  const all: FakeSeries[] = [];
  const add = (
    metric: string,
    label: string,
    kind: SubjectKind,
    unit: Unit,
    at: Fn,
    subject = '',
    cadence = 1000,
    counter = false,
  ) => all.push({ metric, subject, label, kind, unit, cadence, counter, at });
  if (gpu) {
    add('gpu.vram.used', 'VRAM used', 'gpu', 'bytes', vramUsed, GPU);
    add('gpu.vram.free', 'VRAM free', 'gpu', 'bytes', (t) => 24 * GIB - vramUsed(t), GPU);
    add('gpu.vram.total', 'VRAM total', 'gpu', 'bytes', () => 24 * GIB, GPU);
    const busy = mix(5, 66, 22, 18, 0, 100);
    add('gpu.busy', 'Busy', 'gpu', 'percent', busy, GPU);
    add('gpu.memory.busy', 'Memory busy', 'gpu', 'percent', mix(6, 41, 12, 10, 0, 100), GPU);
    add('gpu.power', 'Power', 'gpu', 'watts', (t) => 60 + 3.3 * busy(t), GPU);
    add('gpu.power.limit', 'Power limit', 'gpu', 'watts', () => 360, GPU);
    add('gpu.energy', 'Energy', 'gpu', 'watts', (t) => 60 + 3.3 * busy(t), GPU, 1000, true);
    add('gpu.temperature', 'Temperature', 'gpu', 'celsius', mix(7, 66, 6, 1, 30, 90), GPU);
    add('gpu.fan', 'Fan', 'gpu', 'percent', mix(8, 45, 8, 1, 0, 100), GPU);
    add('gpu.clock.graphics', 'Graphics clock', 'gpu', 'megahertz', mix(9, 2520, 60, 40, 210, 2800), GPU);
    add('gpu.clock.sm', 'SM clock', 'gpu', 'megahertz', mix(9, 2520, 60, 40, 210, 2800), GPU);
    add('gpu.clock.memory', 'Memory clock', 'gpu', 'megahertz', () => 10_501, GPU);
    add('gpu.throttle.thermal', 'Thermal throttling', 'gpu', 'flag', () => 0, GPU);
    add(
      'gpu.pcie.received',
      'PCIe received',
      'gpu',
      'bytes_per_second',
      mix(12, 180 * MIB, 90 * MIB, 120 * MIB, 0, 4 * GIB),
      GPU,
    );
  }
  add('cpu.busy', 'CPU busy', 'machine', 'percent', mix(20, 14, 6, 8, 0.4, 100));
  for (let core = 0; core < 8; core++) {
    add('cpu.core.busy', 'Busy', 'core', 'percent', mix(30 + core, 14 + core, 10, 14, 0, 100), String(core));
  }
  add('load.1m', 'Load, 1 min', 'machine', 'count', mix(21, 2.2, 1, 0.2, 0, 64));
  add('pressure.memory.full', 'Memory pressure, full', 'machine', 'percent', mix(22, 0, 0.1, 0.1, 0, 100));
  add('memory.used', 'RAM used', 'machine', 'bytes', mix(23, 38.2 * GIB, 0.8 * GIB, 0.05 * GIB, 0, 64 * GIB));
  add(
    'memory.available',
    'RAM available',
    'machine',
    'bytes',
    mix(23, 25 * GIB, 0.8 * GIB, 0.05 * GIB, 0, 64 * GIB),
  );
  add('memory.total', 'RAM total', 'machine', 'bytes', () => 62.7 * GIB);
  add('swap.used', 'Swap used', 'machine', 'bytes', () => 0.4 * GIB);
  add(
    'disk.read',
    'Read',
    'disk',
    'bytes_per_second',
    mix(24, 2 * MIB, 4 * MIB, 6 * MIB, 0, 4 * GIB),
    'nvme0n1',
    1000,
    true,
  );
  add(
    'disk.written',
    'Written',
    'disk',
    'bytes_per_second',
    mix(25, 3 * MIB, 3 * MIB, 5 * MIB, 0, 4 * GIB),
    'nvme0n1',
    1000,
    true,
  );
  const mounts: [string, number, number][] = [
    ['/', 1.31, 1.82],
    ['/srv/models', 2.9, 3.64],
    ['/home', 0.21, 0.91],
  ];
  for (const [at, used, total] of mounts) {
    add('mount.used', 'Used', 'mount', 'bytes', (t) => used * 1024 * GIB + (t % 86_400_000) * 20, at, 10_000);
    add(
      'mount.available',
      'Available',
      'mount',
      'bytes',
      (t) => (total - used) * 1024 * GIB - (t % 86_400_000) * 20,
      at,
      10_000,
    );
    add('mount.total', 'Size', 'mount', 'bytes', () => total * 1024 * GIB, at, 10_000);
  }
  add(
    'net.received',
    'Received',
    'interface',
    'bytes_per_second',
    mix(26, 200_000, 200_000, 300_000, 0, 1e9),
    'enp5s0',
    1000,
    true,
  );
  add(
    'net.sent',
    'Sent',
    'interface',
    'bytes_per_second',
    mix(27, 90_000, 80_000, 100_000, 0, 1e9),
    'enp5s0',
    1000,
    true,
  );
  add('temperature', 'Temperature', 'sensor', 'celsius', mix(28, 54, 5, 2, 20, 100), 'k10temp Tctl');
  for (const [name, rss, vram] of [
    ['llama-server', 2.1, 15.5],
    ['python3', 1.9, 2.6],
    ['redis-server', 1.7, 0],
  ] as const) {
    add(
      'process.rss',
      'RSS',
      'process',
      'bytes',
      mix(name.length, rss * GIB, 0.05 * GIB, 0, 0, 64 * GIB),
      name,
      5000,
    );
    if (gpu && vram) add('process.vram', 'VRAM', 'process', 'bytes', () => vram * GIB, name, 5000);
    add('process.cpu', 'CPU', 'process', 'percent', mix(name.length + 60, 40, 20, 20, 0, 800), name, 5000);
  }
  add('self.cpu', 'CPU, of one core', 'plimsoll', 'percent', mix(50, 0.6, 0.1, 0.2, 0, 100));
  add('self.rss', 'RSS', 'plimsoll', 'bytes', mix(51, 46 * MIB, MIB, 0, 0, GIB));
  add('self.lag', 'Runtime lag', 'plimsoll', 'milliseconds', mix(52, 0.6, 0.2, 0.5, 0, 100));
  return all;
}

/** When the invented machine slept. */
const asleep = (t: number, start: number) => t > start - 26 * 60_000 && t < start - 22 * 60_000;

export function answer(
  series: FakeSeries | undefined,
  key: SeriesAnswer['key'],
  query: Query,
  start: number,
): SeriesAnswer {
  const length = query.to_ms - query.from_ms;
  const levels: [SeriesAnswer['level'], number][] = [
    ['raw', series?.cadence ?? 1000],
    ['s10', 10_000],
    ['m1', 60_000],
    ['m15', 900_000],
    ['h1', 3_600_000],
  ];
  const [level, base] = levels.findLast(([, step]) => length / step >= query.width_px / 3) ?? levels[0]!;
  const step = Math.max(base, Math.ceil(length / query.width_px / base) * base);
  const points: SeriesAnswer['points'] = { at_ms: [], min: [], mean: [], max: [] };
  if (series) {
    const oldest = start - 41 * 86_400_000;
    for (let t = Math.ceil(query.from_ms / step) * step; t < Math.min(query.to_ms, start); t += step) {
      points.at_ms.push(t);
      if (t < oldest || asleep(t, start)) {
        points.min.push(null);
        points.mean.push(null);
        points.max.push(null);
        continue;
      }
      const probes = [0, 0.2, 0.4, 0.6, 0.8].map((f) => series.at(t + f * step));
      if (probes.some(Number.isNaN)) {
        points.min.push(null);
        points.mean.push(null);
        points.max.push(null);
        continue;
      }
      points.mean.push(
        step <= series.cadence ? (probes[0] ?? 0) : probes.reduce((a, b) => a + b, 0) / probes.length,
      );
      points.min.push(step <= series.cadence ? (probes[0] ?? 0) : Math.min(...probes));
      points.max.push(step <= series.cadence ? (probes[0] ?? 0) : Math.max(...probes));
    }
  }
  const unit = series?.unit ?? 'count';
  return { key, unit, kind: series?.counter ? 'counter' : 'gauge', level, step_ms: step, points };
}
