import { expect, it } from 'vitest';

import type { Process, Service } from '../bindings';
import { model, NO_FIGURES, some } from '../../pages/services/testing';
import { freedOf, planOf } from './plan';

const GIB = 2 ** 30;
const holder = (pids: number[], vram: number | null): Service['holder'] => ({
  pids,
  name: 'x',
  container: null,
  started_ms: 1,
  cpu_percent: 1,
  rss_bytes: GIB,
  vram_bytes: vram === null ? null : vram * GIB,
});
const run = (state: NonNullable<Service['run']>['state'], planned: number | null = null): Service['run'] => ({
  state,
  reason: '',
  since_ms: 1,
  pid: null,
  restarts: 0,
  next_ms: null,
  planned_vram_bytes: planned === null ? null : planned * GIB,
  command: [],
});
const both = { load: true, unload: true };
const process = (pid: number, vram: number | null, more: Partial<Process> = {}) =>
  ({
    pid,
    name: `p${pid}`,
    own: false,
    unit: null,
    container: null,
    cpu_percent: 0,
    rss_bytes: 1,
    ...more,
    vram_bytes: vram === null ? null : vram * GIB,
  }) as unknown as Process;

it('models that can come back are unloaded, services that Plimsoll runs are stopped, the largest first', () => {
  const { frees, stays } = planOf(
    [
      some('ollama', {
        kind: 'ollama',
        actions: both,
        holder: holder([1], 5),
        models: [
          model('qwen3', { vram_bytes: 3 * GIB }),
          model('bge-m3', { vram_bytes: GIB }),
          model('on-the-cpu', { vram_bytes: 0 }),
          model('on-disk', { loaded: 'unloaded' }),
        ],
      }),
      some('chat', {
        kind: 'llama-cpp',
        run: run('running'),
        holder: holder([2], 15),
        figures: { ...NO_FIGURES, running: 4 },
      }),
    ],
    [process(1, 5), process(2, 15)],
  );
  expect(frees).toEqual([
    { id: 'chat', name: 'chat', how: 'stops it', bytes: 15 * GIB, running: 4 },
    { id: 'ollama', name: 'ollama', how: 'unloads qwen3 and 1 more', bytes: 4 * GIB, running: 0 },
  ]);
  expect(stays).toEqual([]);
  expect(freedOf(frees)).toBe(19 * GIB);
});

it('what cannot let go says why, programs and the window among it', () => {
  const { frees, stays } = planOf(
    [
      some('embed', { kind: 'llama-cpp', holder: holder([3], 1.5), models: [model('bge-m3')] }),
      some('half', { kind: 'vllm', actions: { load: false, unload: true }, models: [model('m')] }),
    ],
    [process(3, 1.5), process(8, 0.5, { name: 'Xorg' }), process(9, 0.25, { own: true }), process(10, null)],
  );
  expect(frees).toEqual([]);
  expect(stays.map((s) => [s.name, s.why])).toEqual([
    ['embed', 'llama.cpp lets no model go while it runs, and Plimsoll did not start it'],
    ['Xorg', 'it belongs to no service'],
    ['Plimsoll', 'the window itself'],
    ['half', 'vLLM could not load its model again'],
  ]);
  expect(freedOf(frees)).toBeNull();
});

it('nothing is said of what holds none, is down, is elsewhere or waits to be accepted', () => {
  const loaded: Partial<Service> = {
    kind: 'ollama',
    actions: both,
    models: [model('m', { vram_bytes: GIB })],
  };
  const list = [
    some('redis', { kind: 'redis', holder: holder([4], null) }),
    some('down', { ...loaded, state: 'down' }),
    some('far', { ...loaded, url: 'http://10.0.0.7:11434' }),
    some('found', { ...loaded, origin: 'proposed' }),
    some('stopped', { kind: 'llama-cpp', state: 'down', run: run('stopped', 4) }),
  ];
  expect(planOf(list, [])).toEqual({ frees: [], stays: [] });
});

it('a service that starts is stopped though nobody knows yet what it takes', () => {
  const { frees } = planOf([some('new', { kind: 'vllm', state: 'down', run: run('starting') })], []);
  expect(frees).toMatchObject([{ id: 'new', how: 'stops it', bytes: null }]);
});
