// Invented data for `npm run dev`: one workstation, the same on every start.
// Variants by address: `?fake=nogpu`, `?fake=empty`, `?fake=alarm`, `?fake=down`.

import type {
  About,
  AlertRule,
  Answer,
  LiveValue,
  Mark,
  Process,
  Query,
  SeriesAnswer,
  SeriesInfo,
  SourceStatus,
  Status,
  SubjectKind,
  Unit,
} from '../bindings';
import { fakeHost, type FakeHost, type Handlers } from './fake';
import { CallError } from './types';

const GIB = 2 ** 30;
const MIB = 2 ** 20;
const GPU = 'GPU-5f3c2a10-8d41-4a7e-9f0b-2c6d1e7a9b34';

type Fn = (t: number) => number;

interface FakeSeries {
  metric: string;
  subject: string;
  label: string;
  kind: SubjectKind;
  unit: Unit;
  cadence: number;
  counter?: boolean;
  at: Fn;
}

/** Noise that depends on the moment alone: 0 to 1. */
function noise(seed: number, t: number): number {
  let x = (Math.imul(Math.floor(t), 0x9e3779b1) ^ Math.imul(seed, 0x85ebca6b)) | 0;
  x = Math.imul(x ^ (x >>> 15), 0x2c1b3c6d);
  x = Math.imul(x ^ (x >>> 12), 0x297a2d39);
  return ((x ^ (x >>> 15)) >>> 0) / 2 ** 32;
}

/** Smooth noise over about `period` ms, −1 to 1. */
function wave(seed: number, t: number, period: number): number {
  const at = t / period;
  const a = noise(seed, Math.floor(at));
  const b = noise(seed, Math.floor(at) + 1);
  const f = at - Math.floor(at);
  return 2 * (a + (b - a) * f * f * (3 - 2 * f)) - 1;
}

const mix = (seed: number, base: number, slow: number, fast: number, lo: number, hi: number): Fn => {
  return (t) =>
    Math.min(
      hi,
      Math.max(
        lo,
        base +
          slow * wave(seed, t, 600_000) +
          (slow / 2) * wave(seed + 1, t, 7_200_000) +
          fast * wave(seed + 2, t, 4000),
      ),
    );
};

const vramUsed: Fn = (t) => {
  const phase = (t % 5_400_000) / 5_400_000;
  const base = phase < 0.42 ? 19.1 : phase < 0.425 ? 5.4 : 20.5;
  return base * GIB + 0.06 * GIB * wave(3, t, 20_000);
};

function catalogue(gpu: boolean): FakeSeries[] {
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

function answer(
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

function marks(now: number): Mark[] {
  const mark = (
    id: number,
    ago: number,
    kind: Mark['kind'],
    title: string,
    reference: string | null = null,
  ): Mark => ({
    id,
    at_ms: now - ago * 60_000,
    end_ms: null,
    kind,
    subject: null,
    title,
    detail: '',
    reference,
  });
  return [
    mark(1, 16, 'change', 'alerts.rules.vram-free.threshold 1.0 → 1.5 GiB', 'revision:12'),
    mark(2, 22, 'clock', 'The machine slept for 4 min'),
    mark(3, 41, 'alert', 'VRAM is within 10 % of its line', 'alert:vram-free:1'),
    mark(4, 42, 'restart', 'Plimsoll started, version 0.1.0'),
    mark(5, 43, 'change', 'sampling.processes_ms 10 000 → 5 000', 'revision:11'),
    mark(6, 60 * 20, 'history', 'Recording paused for 9 s: the disk was full'),
    mark(7, 60 * 29, 'alert', '/srv/models has 9.8 % left', 'alert:disk-space:/srv/models'),
  ];
}

function rules(gpu: boolean, alarm: boolean): AlertRule[] {
  const rule = (
    id: string,
    sentence: string,
    unit: Unit | null,
    threshold: number | null,
    lines: [metric: string, subject: string, value: number, below?: boolean][],
    more: Partial<AlertRule> = {},
  ): AlertRule => ({
    id,
    sentence,
    severity: 'warning',
    enabled: true,
    unit,
    metric: lines[0]?.[0] ?? null,
    threshold,
    below: lines[0]?.[3] ?? false,
    active: [],
    lines: lines.map(([metric, subject, value, below = false]) => ({ metric, subject, value, below })),
    ...more,
  });
  const free = alarm ? 4 * GIB : 1.5 * GIB;
  const mounts: [string, number][] = [
    ['/', 1.82],
    ['/srv/models', 3.64],
    ['/home', 0.91],
  ];
  return [
    rule('memory-warn', 'RAM used is above 70 % for 60 s', 'percent', 70, [
      ['memory.used', '', 0.7 * 62.7 * GIB],
    ]),
    rule(
      'memory-act',
      'RAM used is above 80 % for 30 s',
      'percent',
      80,
      [['memory.used', '', 0.8 * 62.7 * GIB]],
      {
        severity: 'critical',
      },
    ),
    rule(
      'vram-free',
      'VRAM free is below 1.50 GiB and falling',
      'bytes',
      free,
      [
        ['gpu.vram.free', GPU, free, true],
        ['gpu.vram.used', GPU, 24 * GIB - free],
      ],
      { active: alarm ? [GPU] : [] },
    ),
    rule('gpu-hot', 'The GPU is within 5 °C of 83 °C', 'celsius', 78, [['gpu.temperature', GPU, 78]]),
    rule(
      'disk-space',
      'A mount has less than 10 % or 10 GiB',
      'percent',
      10,
      mounts.flatMap(([at, tib]): [string, string, number, boolean][] => [
        ['mount.available', at, tib * 102.4 * GIB, true],
        ['mount.used', at, tib * 921.6 * GIB, false],
      ]),
    ),
    rule('self-lag', 'Runtime lag is above 100 ms', 'milliseconds', 100, [['self.lag', '', 100]]),
  ].filter((r) => gpu || !/gpu|vram/.test(r.id));
}

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
    one(2207, 'python3', null, 14, 2.2, 2.6, { container: 'whisper' }),
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

/** The door for `npm run dev`. `more` are the answers that single pages need for themselves. */
export function devHost(search = location.search, more: (now: number) => Handlers = () => ({})): FakeHost {
  const variant = new URLSearchParams(search).get('fake') ?? '';
  const gpu = variant !== 'nogpu';
  const empty = variant === 'empty';
  const start = Date.now();
  const list = catalogue(gpu);
  const find = (metric: string, subject: string) =>
    list.find((s) => s.metric === metric && s.subject === subject);
  const kept = new Map<string, string>();
  const sources = (): SourceStatus[] => [
    { name: 'system', state: 'healthy', reason: '', since_ms: start, last_ms: Date.now() },
    gpu
      ? { name: 'gpu', state: 'healthy', reason: '', since_ms: start, last_ms: Date.now() }
      : {
          name: 'gpu',
          state: 'absent',
          reason: 'No NVIDIA driver on this machine: libnvidia-ml.so was not found',
          since_ms: start,
          last_ms: null,
        },
    { name: 'processes', state: 'healthy', reason: '', since_ms: start, last_ms: Date.now() },
  ];
  const about: About = {
    version: '0.1.0',
    protocol: 1,
    pid: 7001,
    started_ms: start - 42 * 60_000,
    data_dir: '/home/mara/.local/share/plimsoll-demo',
    config_path: '/home/mara/.config/plimsoll/plimsoll.toml',
    socket: '/run/user/1000/plimsoll/demo.sock',
    ui: null,
    simulated: true,
    machine: {
      hostname: 'atlas',
      os: 'Debian GNU/Linux 12',
      kernel: '6.1.0',
      cpu_model: 'AMD Ryzen 9 7950X 16-Core Processor',
      cores: 8,
      memory_bytes: 62.7 * GIB,
      container: null,
    },
    gpu: gpu
      ? {
          uuid: GPU,
          name: 'NVIDIA GeForce RTX 4090',
          driver_version: '560.35',
          cuda_version: '12.6',
          nvml_version: '12.560',
          vram_total_bytes: 24 * GIB,
          slowdown_celsius: 83,
          shutdown_celsius: 92,
          power_limit_watts: 360,
          graphics_clock_max_mhz: 3105,
          memory_clock_max_mhz: 10_501,
          sm_clock_max_mhz: 3105,
          pcie_generation_max: 4,
          pcie_width_max: 16,
          throttle_reasons: [],
          others: [],
        }
      : null,
    first_start: variant === 'first',
  };
  const handlers: Handlers = {
    about: () => about,
    status: (): Status => ({
      at_ms: Date.now(),
      interval_ms: 1000,
      series: empty ? 0 : list.length,
      series_limit: 2000,
      recording: 'recording',
      recording_reason: null,
      history_bytes: 1.8 * GIB,
      history_limit_bytes: 4 * GIB,
      oldest_ms: empty ? null : start - 41 * 86_400_000,
      self_cpu_percent: 0.6,
      self_rss_bytes: 84 * MIB,
      active_alerts: 0,
      sources: sources(),
      gateway: null,
    }),
    series: (): SeriesInfo[] =>
      empty
        ? []
        : list.map((s) => ({
            key: { metric: s.metric, subject: s.subject },
            label: s.label,
            subject_kind: s.kind,
            kind: s.counter ? 'counter' : 'gauge',
            unit: s.counter && s.unit === 'bytes_per_second' ? 'bytes' : s.unit,
            cadence_ms: s.cadence,
            last_ms: Date.now(),
            last: s.at(Date.now()),
          })),
    'history.query': (query): Answer => ({
      from_ms: query.from_ms,
      to_ms: query.to_ms,
      series: query.series.map((key) =>
        answer(empty ? undefined : find(key.metric, key.subject), key, query, Date.now()),
      ),
    }),
    marks: (span) =>
      empty ? [] : marks(start).filter((m) => m.at_ms >= span.from_ms && m.at_ms < span.to_ms),
    energy: (span) =>
      gpu && !empty
        ? {
            basis: 'counter',
            kwh: (0.25 * (span.to_ms - span.from_ms)) / 3_600_000,
            cost: (0.25 * 0.3 * (span.to_ms - span.from_ms)) / 3_600_000,
            currency: 'EUR',
            covered: 0.96,
          }
        : { basis: 'none', kwh: null, cost: null, currency: 'EUR', covered: 0 },
    processes: () =>
      empty
        ? { at_ms: 0, interval_ms: 5000, processes: [], vram_unknown: null }
        : {
            at_ms: Date.now(),
            interval_ms: 5000,
            processes: processes(gpu, Date.now()),
            vram_unknown: gpu ? null : 'No NVIDIA driver on this machine',
          },
    alerts: () =>
      variant === 'alarm'
        ? [
            {
              row: {
                id: 'vram-free:1',
                rule: 'vram-free',
                subject: GPU,
                severity: 'warning',
                title: '3.5 GiB of VRAM are free, and it is falling',
                start_ms: start - 41 * 60_000,
                end_ms: null,
                peak: 3.4 * GIB,
                threshold: 4 * GIB,
              },
              value: 3.5 * GIB,
              unit: 'bytes',
              advice: 'End or unload what you do not need.',
              acknowledged_ms: null,
              snoozed_until_ms: null,
            },
          ]
        : [],
    'alerts.rules': () => rules(gpu, variant === 'alarm'),
    config: () => ({
      path: about.config_path,
      text: '',
      revision: 12,
      digest: 'd',
      problems: [],
      settings: [
        {
          key: 'window.theme',
          spec: 'window.theme',
          value: new URLSearchParams(search).get('theme') ?? 'system',
          default: 'system',
          origin: { from: 'default' },
        },
        {
          key: 'power.price_per_kwh',
          spec: 'power.price_per_kwh',
          value: 0.3,
          default: 0.3,
          origin: { from: 'default' },
        },
        {
          key: 'power.currency',
          spec: 'power.currency',
          value: 'EUR',
          default: 'EUR',
          origin: { from: 'default' },
        },
        {
          key: 'sampling.interval_ms',
          spec: 'sampling.interval_ms',
          value: 1000,
          default: 1000,
          origin: { from: 'default' },
        },
      ],
    }),
    remember: ({ key, value }) => {
      kept.set(key, value);
      return { message: '' };
    },
    recall: ({ key }) => kept.get(key) ?? null,
    ...more(start),
  };
  if (variant === 'down') {
    for (const name of Object.keys(handlers) as (keyof Handlers)[]) {
      handlers[name] = () => {
        throw new CallError({
          code: 'unavailable',
          message: 'Plimsoll does not answer on its socket since 14:29:11.',
          hint: 'Start it again with `plimsoll up`.',
        });
      };
    }
  }
  return fakeHost(handlers, (fake) => {
    if (variant === 'down') {
      fake.link(false);
      return () => undefined;
    }
    let n = 0;
    const tick = () => {
      const now = Date.now();
      const wanted = fake.subscribed ?? [];
      const values: LiveValue[] = empty
        ? []
        : list
            .filter((s) => n % (s.cadence / 1000) === 0 && wanted.some((w) => s.metric.startsWith(w)))
            .map((s) => ({ metric: s.metric, subject: s.subject, value: s.at(now) }));
      fake.emit({ event: 'tick', at_ms: now, values });
      if (n % 5 === 0) fake.emit({ event: 'processes', at_ms: now });
      n += 1;
    };
    const timer = setInterval(tick, 1000);
    queueMicrotask(tick);
    return () => clearInterval(timer);
  });
}
