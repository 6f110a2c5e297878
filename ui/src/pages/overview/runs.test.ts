import { expect, it } from 'vitest';

import type { Process, Service } from '../../lib/bindings';
import { claims } from '../../lib/groups';
import { NO_FIGURES, some } from '../../lib/services/testing';
import { byUrgency, fit, noteOf, Order, programsOf } from './runs';

const GIB = 2 ** 30;

const held = (pids: number[], vram: number | null = null): Service['holder'] => ({
  pids,
  name: 'x',
  container: null,
  started_ms: 1,
  cpu_percent: 1,
  rss_bytes: GIB,
  vram_bytes: vram,
});
const run = (state: NonNullable<Service['run']>['state'], reason = ''): Service['run'] => ({
  state,
  reason,
  since_ms: 1,
  pid: null,
  restarts: 0,
  next_ms: null,
  planned_vram_bytes: null,
  command: [],
});
const busy = (running: number, waiting = 0): Partial<Service> => ({
  figures: { ...NO_FIGURES, running, waiting },
});

it('what is not well comes first, then what works most, then what takes most', () => {
  const list = [
    some('idle'),
    some('large', { holder: held([1], 9 * GIB) }),
    some('working', busy(2)),
    some('queueing', busy(2, 5)),
    some('loading', { state: 'starting' }),
    some('ill', { state: 'degraded' }),
    some('gone', { state: 'down' }),
    some('off', { state: 'unknown' }),
    some('meant', { state: 'down', run: run('stopped') }),
  ];
  expect(list.sort(byUrgency).map((s) => s.id)).toEqual([
    'gone',
    'ill',
    'loading',
    'queueing',
    'working',
    'large',
    'idle',
    'meant',
    'off',
  ]);
});

it('the order stands while only the load changes, and changes at once when one falls ill', () => {
  const order = new Order();
  const ids = (list: Service[], now: number) => order.of(list, now).map((s) => s.id);
  expect(ids([some('a', busy(3)), some('b', busy(1))], 0)).toEqual(['a', 'b']);
  expect(ids([some('a'), some('b', busy(9))], 30_000)).toEqual(['a', 'b']);
  expect(ids([some('a'), some('b', busy(9))], 60_000)).toEqual(['b', 'a']);
  expect(ids([some('a', { state: 'down' }), some('b', busy(9))], 61_000)).toEqual(['a', 'b']);
  expect(ids([some('b', busy(9))], 62_000)).toEqual(['b']);
});

it('what does not fit is counted, and room that is left is for programs under a head', () => {
  expect(fit(7, 20, 7)).toEqual({ services: 7, more: 0, programs: 0 });
  expect(fit(9, 20, 7)).toEqual({ services: 6, more: 3, programs: 0 });
  expect(fit(3, 20, 7)).toEqual({ services: 3, more: 0, programs: 3 });
  expect(fit(3, 1, 7)).toEqual({ services: 3, more: 0, programs: 1 });
  expect(fit(6, 20, 7)).toEqual({ services: 6, more: 0, programs: 0 });
  expect(fit(2, 5, 0)).toEqual({ services: 0, more: 2, programs: 0 });
});

it('a service says why it is not well, and one that was stopped is no fault', () => {
  const refused = { state: 'down', reason: 'it refuses the connection' } as const;
  const note = (more: Partial<Service>) => noteOf(some('a', more), 5000);
  expect(note({})).toBeNull();
  expect(note(refused)).toEqual({ text: 'it refuses the connection', tone: 'danger' });
  expect(note({ ...refused, run: run('stopped') })).toEqual({ text: 'stopped', tone: 'quiet' });
  expect(note({ ...refused, run: run('failed', 'it ended 5 times within a minute') })).toEqual({
    text: 'it ended 5 times within a minute',
    tone: 'danger',
  });
  expect(note({ state: 'starting' })).toEqual({ text: 'starting', tone: 'quiet' });
  expect(note({ ...refused, run: run('waiting', 'for 4.1 GiB of VRAM') })).toEqual({
    text: 'waiting: for 4.1 GiB of VRAM',
    tone: 'quiet',
  });
});

it('a process that belongs to a service is not listed again among the programs', () => {
  const process = (pid: number, name: string, rss: number) =>
    ({
      pid,
      name,
      own: false,
      unit: null,
      container: null,
      cpu_percent: 0,
      rss_bytes: rss,
      vram_bytes: null,
    }) as unknown as Process;
  const owner = claims([some('chat', { holder: held([1, 2]) }), some('again', { holder: held([2, 3]) })]);
  expect([...owner]).toEqual([
    [1, 'chat'],
    [2, 'chat'],
    [3, 'again'],
  ]);
  const programs = programsOf(
    [
      process(1, 'llama-server', 9 * GIB),
      process(7, 'firefox', GIB),
      process(8, 'code', 2 * GIB),
      process(9, 'sh', 1),
    ],
    owner,
    { vram: null, ram: 64 * GIB, cores: 8 },
  );
  expect(programs.map((g) => g.name)).toEqual(['code', 'firefox']);
});
