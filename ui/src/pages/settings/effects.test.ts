import { expect, it } from 'vitest';

import type { StorageKind, StorageReport } from '../../lib/bindings';
import { effectsOf, frees, projected } from './effects';
import type { Item } from '../../lib/settings/values';

const GIB = 2 ** 30;
const NOW = 1_800_000_000_000;
const HOUR = 3_600_000;
const raw: StorageKind = {
  kind: 'raw',
  label: 'Every second',
  bytes: GIB,
  oldest_ms: NOW - 48 * HOUR,
  setting: 'history.keep.raw_hours',
  keep: 48,
  keep_unit: 'h',
  less: 24,
  less_frees_bytes: 0.6 * GIB,
};
const report: StorageReport = {
  data_dir: '/d',
  total_bytes: 2 * GIB,
  limit_bytes: 4 * GIB,
  disk_available_bytes: null,
  kinds: [raw],
  set_aside: [],
};
const item = (key: string, value: number): [string, Item] => [
  key,
  {
    key,
    spec: {} as Item['spec'],
    state: { key, spec: key, value, default: value, origin: { from: 'default' } },
  },
];
const items = new Map([item('history.keep.raw_hours', 48), item('history.max_mib', 4096)]);

it('the known span frees what Plimsoll worked out, another one its share of the time', () => {
  expect(frees(raw, 24, NOW)).toEqual({ bytes: 0.6 * GIB, exact: true });
  expect(frees(raw, 12, NOW)).toEqual({ bytes: 0.75 * GIB, exact: false });
  expect(frees(raw, 72, NOW)).toBeNull();
  expect(frees({ ...raw, oldest_ms: NOW - 10 * HOUR }, 12, NOW)).toEqual({ bytes: 0, exact: true });
});

it('the size after Apply counts both what is too old and what is too much', () => {
  expect(projected(report, items, new Map(), NOW)).toBe(2 * GIB);
  expect(projected(report, items, new Map([['history.keep.raw_hours', 24]]), NOW)).toBe(1.4 * GIB);
  expect(projected(report, items, new Map([['history.max_mib', 1024]]), NOW)).toBe(GIB);
});

it('what is deleted is said first, and that Undo does not bring it back', () => {
  const staged = new Map([['history.keep.raw_hours', 24]]);
  const effects = effectsOf(items, staged, report, [], NOW);
  expect(effects.map((e) => e.kind)).toEqual(['deletes', 'live']);
  expect(effects[0]?.rest).toBe('Frees 614 MiB. Undo brings back the setting, not the data.');
  expect(
    effectsOf(items, new Map([['history.max_mib', 1024]]), report, ['history.max_mib'], NOW).map(
      (e) => e.kind,
    ),
  ).toEqual(['deletes', 'restart']);
  expect(
    effectsOf(items, new Map([['history.keep.raw_hours', 96]]), report, [], NOW).map((e) => e.kind),
  ).toEqual(['live']);
});
