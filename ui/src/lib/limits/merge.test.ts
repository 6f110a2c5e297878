import { expect, it } from 'vitest';

import type { SettingValue } from '../bindings';
import { changedBy, changesTo, merged } from './merge';

const of = (staged: Record<string, SettingValue | null>) => new Map(Object.entries(staged));

it('only what differs is said, and it makes the one of the other', () => {
  const [from, to] = [of({ a: 1, b: 2, c: null }), of({ b: 3, c: null, d: 4 })];
  const changes = changesTo(from, to);
  expect(changes).toEqual({
    set: [
      { key: 'b', value: 3 },
      { key: 'd', value: 4 },
    ],
    clear: ['a'],
  });
  expect(changedBy(from, changes)).toEqual(to);
  expect(changesTo(to, to)).toEqual({ set: [], clear: [] });
});

it('what was staged elsewhere comes here, and what was staged here stays', () => {
  const base = of({ a: 1, b: 2, c: 3 });
  const mine = of({ a: 9, b: 2, e: null, f: 6 });
  const there = of({ a: 1, c: 3, d: 4, f: 7 });
  const { staged, elsewhere } = merged(base, mine, there);
  // `a` was moved here and `c` thrown away; `b` was thrown away there; `f` was staged by both.
  expect(staged).toEqual(of({ a: 9, e: null, f: 6, d: 4 }));
  expect(elsewhere).toEqual([
    { key: 'b', was: 2, there: undefined, mine: false },
    { key: 'd', was: undefined, there: 4, mine: false },
    { key: 'f', was: undefined, there: 7, mine: true },
  ]);
});

it('what both staged alike is no news', () => {
  const there = of({ a: 1, b: null });
  expect(merged(of({}), there, there)).toEqual({ staged: there, elsewhere: [] });
});
