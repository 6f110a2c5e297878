import { beforeEach, expect, it } from 'vitest';

import type { LimitsView, ProcessTable, SeriesInfo } from '../bindings';
import { useHost } from '../host';
import { fakeHost } from '../host/fake';
import { limits } from '../limits/limits.svelte';
import { some } from '../services/testing';
import { draft } from '../settings/draft.svelte';
import { holding } from '../state/hold.svelte';
import { session } from '../state/session.svelte';
import { actions, limitEntries, metrics, pages, processes, services, settings } from './items';
import { rank } from './match';

beforeEach(() => useHost(fakeHost()));

const series = (
  metric: string,
  subject: string,
  subject_kind: SeriesInfo['subject_kind'],
  label: string,
): SeriesInfo => ({
  key: { metric, subject },
  label,
  subject_kind,
  kind: 'gauge',
  unit: 'percent',
  cadence_ms: 1000,
  last_ms: 1,
  last: 12,
});
const table = {
  processes: [
    {
      pid: 77,
      name: 'redis-server',
      command: '',
      user: 'redis',
      container: null,
      unit: null,
      vram_bytes: null,
    },
  ],
} as unknown as ProcessTable;

it('names metrics as Explore does, with the subject where there are several', () => {
  const list = metrics([
    series('gpu.busy', 'GPU-1', 'gpu', 'Busy'),
    series('gpu.vram.used', 'GPU-1', 'gpu', 'VRAM used'),
    series('cpu.core.busy', '3', 'core', 'Busy'),
  ]);
  expect(list.map((e) => e.label)).toEqual(['GPU busy', 'VRAM used', 'Core busy, core 3']);
  expect(list[0]?.aside).toBe('12 %');
});

it('opens Explore with the metric, and Processes with the process', () => {
  metrics([series('mount.used', '/home', 'mount', 'Used')])[0]?.run();
  expect(location.hash).toBe('#/explore?series=mount.used&subject=%2Fhome');
  processes(table)[0]?.run();
  expect(location.hash).toBe('#/processes?pid=77');
});

it('finds a process by its pid and a page by its first letters', () => {
  const all = [...pages(), ...actions(), ...processes(table)];
  expect(rank(all, '77', 9)[0]?.id).toBe('process:77');
  expect(rank(all, 'exp', 9)[0]?.id).toBe('page:explore');
  expect(rank(all, 'theme dark', 9)[0]?.id).toBe('theme:dark');
});

it('every entry has an id of its own', () => {
  const ids = [...pages(), ...actions()].map((e) => e.id);
  expect(new Set(ids).size).toBe(ids.length);
});

it('a service is found by its name, its kind and its port, and opens its page', () => {
  const list = services([
    some('chat', { kind: 'llama-cpp', url: 'http://127.0.0.1:8080' }),
    some('seen', { origin: 'proposed' }),
  ]);
  expect(list.map((e) => e.id)).toEqual(['service:chat']);
  expect(list[0]?.aside).toBe('llama.cpp :8080, healthy');
  for (const typed of ['chat', 'llama.cpp', '8080']) expect(rank(list, typed, 9)).toHaveLength(1);
  list[0]?.run();
  expect(location.hash).toBe('#/services/chat');
});

it('a limit opens with its chart on the page of limits, any other setting in the settings', () => {
  const key = 'history.max_mib';
  const spec = { key, section: 'History', label: 'Largest size', unit: 'MiB' };
  const state = { key, spec: key, value: 4096, default: 4096, origin: { from: 'default' } };
  const other = { ...spec, key: 'log.level', label: 'Level', unit: null };
  draft.specs = [spec, other] as typeof draft.specs;
  session.config = {
    settings: [state, { ...state, key: other.key, spec: other.key, value: 'info' }],
  } as typeof session.config;
  expect(settings().map((e) => e.id)).toEqual([`setting:${key}`, 'setting:log.level']);

  limits.view = {
    groups: [{ id: 'disk', title: 'Disk and history' }],
    limits: [{ key, title: 'Size of the history', group: 'disk', value: 4096, unit: 'MiB' }],
  } as unknown as LimitsView;
  const all = [...limitEntries(), ...settings()];
  expect(all.map((e) => [e.id, e.aside])).toEqual([
    [`limit:${key}`, '4096 MiB'],
    ['setting:log.level', 'info'],
  ]);
  for (const typed of ['size of the history', 'max_mib', 'disk', 'setting history'])
    expect(rank(all, typed, 1)[0]?.kind).toBe('limit');
  all[0]?.run();
  expect(location.hash).toBe('#/limits?key=history.max_mib');
  all[1]?.run();
  expect(location.hash).toBe('#/settings?key=log.level');
  [limits.view, draft.specs, session.config] = [null, [], null];
});

it('the GPU is freed where there is one, and while it is held the hold is ended', () => {
  const offered = () =>
    actions()
      .filter((e) => e.id.startsWith('hold'))
      .map((e) => e.label);
  expect(offered()).toEqual([]);
  session.about = { gpu: { uuid: 'GPU-1' } } as typeof session.about;
  expect(offered()).toEqual(['Free the GPU for a while…']);
  expect(rank(actions(), 'free gpu', 9)[0]?.id).toBe('hold');
  rank(actions(), 'hold', 9)[0]?.run();
  expect(holding.asking).toBe(true);
  holding.hold = { state: 'held', steps: [] } as unknown as typeof holding.hold;
  expect(offered()).toEqual(['End the GPU hold now', 'Change how long the GPU is held…']);
  holding.hold = { state: 'restoring', steps: [] } as unknown as typeof holding.hold;
  expect(offered()).toEqual([]);
  [session.about, holding.hold, holding.asking] = [null, null, false];
});
