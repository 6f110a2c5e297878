import { expect, it } from 'vitest';

import type { HoldFate, Process, Service } from '../bindings';
import { NO_FIGURES, some } from '../host/fake-data/services/parts';
import { freedOf, planOf } from './plan';

const GIB = 2 ** 30;
const fate = (service: string, gib: number | null, more: Partial<HoldFate> = {}): HoldFate => ({
  service,
  name: service,
  models: [],
  vram_bytes: gib === null ? null : gib * GIB,
  can: true,
  why: '',
  ...more,
});
const stays = (service: string, gib: number | null, why: string) => fate(service, gib, { can: false, why });
const holder = (pids: number[]): Service['holder'] => ({
  pids,
  name: 'x',
  container: null,
  started_ms: 1,
  cpu_percent: 1,
  rss_bytes: GIB,
  vram_bytes: null,
});
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

it('says how each lets go and what it works on, the largest first', () => {
  const plan = planOf(
    [
      fate('new', null),
      fate('ollama', 4, { models: ['qwen3', 'bge-m3'] }),
      fate('chat', 15),
      fate('one', 1, { models: ['m'] }),
    ],
    [some('chat', { holder: holder([2]), figures: { ...NO_FIGURES, running: 4 } })],
    [process(2, 15)],
  );
  expect(plan.frees).toEqual([
    { id: 'chat', name: 'chat', how: 'stops it', bytes: 15 * GIB, running: 4 },
    { id: 'ollama', name: 'ollama', how: 'unloads qwen3 and 1 more', bytes: 4 * GIB, running: 0 },
    { id: 'one', name: 'one', how: 'unloads m', bytes: GIB, running: 0 },
    { id: 'new', name: 'new', how: 'stops it', bytes: null, running: 0 },
  ]);
  expect(plan.stays).toEqual([]);
  expect(freedOf(plan.frees)).toBe(20 * GIB);
});

it('what cannot let go says why, programs and the window among it', () => {
  const plan = planOf(
    [stays('half', null, 'vLLM could not load its model again.'), stays('embed', 1.5, 'It was started.')],
    [some('embed', { holder: holder([3]) })],
    [process(3, 1.5), process(8, 0.5, { name: 'Xorg' }), process(9, 0.25, { own: true }), process(10, null)],
  );
  expect(plan.frees).toEqual([]);
  expect(plan.stays.map((s) => [s.name, s.why])).toEqual([
    ['embed', 'It was started.'],
    ['Xorg', 'It belongs to no service.'],
    ['Plimsoll', 'It is the window itself.'],
    ['half', 'vLLM could not load its model again.'],
  ]);
  expect(freedOf(plan.frees)).toBeNull();
});
