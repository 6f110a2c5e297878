import { expect, it } from 'vitest';

import type { Changed, Revision } from '../../lib/bindings';
import { summary, wayBack } from './revisions';

const revision = (number: number, changed: Changed[], more: Partial<Revision> = {}): Revision => ({
  number,
  at_ms: number,
  by: 'window',
  rolled_back_to: null,
  changed,
  diff: [],
  ...more,
});
const change = (key: string, old: number, now: number): Changed => ({ key, old, new: now });

it('a revision is named by what it changed', () => {
  expect(summary(revision(3, [change('alerts.rules.gpu-hot.threshold', 5, 8)]))).toEqual({
    name: 'gpu-hot.threshold',
    old: '5',
    now: '8',
  });
  expect(summary(revision(3, [change('log.files', 1, 2), change('log.file_mib', 1, 2)])).name).toBe(
    '2 values in log',
  );
  expect(summary(revision(3, [change('log.files', 1, 2), change('power.x', 1, 2)])).name).toBe('2 values');
  expect(summary(revision(3, [change('a.b', 1, 2)], { rolled_back_to: 1 })).name).toBe('Rollback to 1');
  expect(summary(revision(1, [], { by: 'start' })).name).toBe('First start');
});

it('going back undoes every later change once, and not what came back by itself', () => {
  const list = [
    revision(1, []),
    revision(2, [change('a', 1, 2), change('b', 1, 5)]),
    revision(3, [change('a', 2, 3), change('c', 0, 9)]),
    revision(4, [change('b', 5, 1)]),
  ];
  expect(wayBack(list, 1, 4)).toEqual([
    { key: 'a', old: 3, new: 1 },
    { key: 'c', old: 9, new: 0 },
  ]);
  expect(wayBack(list, 3, 4)).toEqual([{ key: 'b', old: 1, new: 5 }]);
  expect(wayBack(list, 4, 4)).toEqual([]);
});
