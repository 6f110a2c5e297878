import { expect, it } from 'vitest';

import { Trace } from './columns';
import type { Ink } from './ink';
import { alone, dataOf, optionsOf, type PlotTrace } from './traces';

const VIEW = { from: 0, to: 10_000 };
const PAD = { left: 40, right: 52, top: 6, bottom: 6 };
const ink = { of: (token: string) => (token === '--s1' ? '#7cb2e8' : 'white') } as Ink;
const trace = (at: number[]) =>
  new Trace({ at, min: at.map(() => 1), mean: at.map(() => 2), max: at.map(() => 3) }, 1000, 1000);
const options = (traces: PlotTrace[], top = () => 1) =>
  optionsOf(traces, { width: 100, height: 50 }, PAD, ink, top, {});

it('every column has its series: one for a line, three for a band', () => {
  for (const mode of ['mean', 'max', 'band'] as const) {
    for (const at of [[], [1000, 2000]]) {
      const traces = [{ trace: trace(at), color: '--s1', mode }];
      expect(dataOf(traces, VIEW).length).toBe(options(traces).series.length);
    }
  }
  expect(options([{ trace: trace([]), color: '--s1', mode: 'band' }]).bands).toEqual([
    { series: [3, 2], fill: '#7cb2e838' },
  ]);
});

it('the line of a chart is the mean, of peaks the maximum', () => {
  expect(dataOf([{ trace: trace([1000]), color: '--s1' }], VIEW)).toEqual([[1000], [2]]);
  expect(dataOf([{ trace: trace([1000]), color: '--s1', mode: 'max' }], VIEW)).toEqual([[1000], [3]]);
});

it('a chart without a value has its axis all the same', () => {
  expect(dataOf([{ trace: trace([]), color: '--s1' }], VIEW)).toEqual([
    [0, 10_000],
    [null, null],
  ]);
});

it('the axis of values begins at zero and follows its end', () => {
  let top = 10;
  const { scales } = options([{ trace: trace([1000]), color: '--s2' }], () => top);
  const range = scales?.['y']?.range as () => [number, number];
  expect(range()).toEqual([0, 10]);
  top = 24;
  expect(range()).toEqual([0, 24]);
});

it('a value that stands alone is a point, and none of a line is', () => {
  expect(alone([])).toEqual([]);
  expect(alone([1])).toEqual([0]);
  expect(alone([1, 2, null, 3, null, 4, 5])).toEqual([3]);
  // Where only another trace has a point, the line goes on.
  expect(alone([null, 1, undefined, 2, null, undefined, 3])).toEqual([6]);
});
