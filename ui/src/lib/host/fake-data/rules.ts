// Marks on the charts, and the rules whose lines they cross.

import type { Alert, AlertRule, Mark, Unit } from '../../bindings';
import { GIB } from './noise';
import { GPU } from './series';

export function marks(now: number): Mark[] {
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

export function rules(gpu: boolean, alarm: boolean): AlertRule[] {
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
    rule('model-on-cpu', 'Less than 95 % of a loaded model lies on the GPU', 'percent', 95, [], {
      below: true,
    }),
    rule('model-slow', 'A service is slower than 40 % of its usual speed', 'percent', 40, [], {
      below: true,
    }),
    rule('model-reloads', 'A service loads models 4 times or more within 10 min', 'count', 4, []),
    rule('vram-contention', 'Two services contend for VRAM', 'bytes', free, [], { below: true }),
    rule('service-down', 'A service that is watched does not answer', null, null, []),
    rule('service-degraded', 'A service answers and is not well', null, null, [], { severity: 'info' }),
    rule('service-queue', 'More than 8 requests wait inside a service', 'count', 8, []),
    rule('redis-memory', 'A Redis that evicts nothing uses more than 90 %', 'percent', 90, []),
    rule('redis-persistence', 'A Redis cannot save its data', null, null, [], { severity: 'critical' }),
    rule('redis-evictions', 'A Redis evicts more than 10 keys a second', 'count', 10, [], {
      severity: 'info',
    }),
    rule('self-lag', 'Runtime lag is above 100 ms', 'milliseconds', 100, [['self.lag', '', 100]]),
    rule('self-memory', 'Plimsoll takes more than 512 MiB for 60 s', 'bytes', 0.5 * GIB, []),
    rule('self-cpu', 'Plimsoll takes more than 90 % of a core for 60 s', 'percent', 90, []),
    rule('self-tasks', 'Plimsoll runs more than 1000 tasks for 30 s', 'count', 1000, []),
    rule('memory-pressure', 'Every task waits for memory more than 10 % of the time', 'percent', 10, []),
    rule('gpu-throttle-thermal', 'The GPU slows down because it is hot', null, null, []),
    rule('gpu-throttle-power', 'The GPU slows down at its power limit', null, null, [], { severity: 'info' }),
    rule('gpu-lost', 'The GPU does not answer any more', null, null, [], { severity: 'critical' }),
    rule('recording-paused', 'Readings are not being recorded', null, null, [], { severity: 'critical' }),
    rule('gateway-address', 'The gateway cannot listen where it should', null, null, []),
    rule('config-file', 'The configuration, or a part of it, is not in force', null, null, []),
    rule('source-silent', 'A source has been silent for 30 s', 'count', 30, []),
    rule('series-limit', 'There are more series than are recorded', null, null, []),
  ].filter((r) => gpu || !/gpu|vram/.test(r.id));
}

/** What holds now: one alert where the variant wants it. */
export const alarm = (start: number): Alert => ({
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
});
