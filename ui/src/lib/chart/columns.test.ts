import { describe, expect, it } from 'vitest';

import type { SeriesAnswer } from '../bindings';
import { commonGaps, gapsOf, highest, join, MAX_POINTS, silencesOf, Trace } from './columns';

function answer(at: number[], mean: (number | null)[], step = 1000): SeriesAnswer {
  return {
    key: { metric: 'cpu.busy', subject: '' },
    unit: 'percent',
    kind: 'gauge',
    level: 'raw',
    step_ms: step,
    points: { at_ms: at, min: mean, mean, max: mean },
  };
}

describe('a trace', () => {
  it('shows a silence of the history as a gap, though the answer left it out', () => {
    const trace = Trace.from(answer([0, 1000, 9000, 10_000], [1, 2, 3, 4]), 1000);
    expect(trace.columns.mean).toEqual([1, 2, null, 3, 4]);
    expect(trace.gaps({ from: 0, to: 11_000 }, 11_000)).toEqual([{ from: 1000, to: 9000 }]);
  });

  it('does not call a slow cadence a gap', () => {
    const trace = Trace.from(answer([0, 5000, 10_000, 15_000], [1, 2, 3, 4]), 5000);
    expect(trace.columns.mean).toEqual([1, 2, 3, 4]);
    expect(trace.gaps({ from: 0, to: 20_000 }, 20_000)).toEqual([]);
  });

  it('grows by live values, a point each where a point is a cadence', () => {
    const trace = Trace.from(answer([0, 1000], [1, 2]), 1000);
    trace.append(2000, 7);
    trace.append(3000, 8);
    expect(trace.columns.at).toEqual([0, 1000, 2000, 3000]);
    expect(trace.columns.mean).toEqual([1, 2, 7, 8]);
  });

  it('takes live values into the point they belong to, with mean, least and most', () => {
    const trace = Trace.from(answer([0, 10_000], [1, 4], 10_000), 1000, 12_000);
    // The point at 10 s held two samples of 4 when it was read.
    trace.append(13_000, 10);
    expect(trace.columns.at).toEqual([0, 10_000]);
    expect(trace.columns.mean[1]).toBeCloseTo(6);
    expect(trace.columns.max[1]).toBe(10);
    expect(trace.columns.min[1]).toBe(4);
    trace.append(20_500, 2);
    expect(trace.columns.at).toEqual([0, 10_000, 20_000]);
    expect(trace.columns.mean[2]).toBe(2);
  });

  it('opens a gap when values come again after a silence, and never joins over it', () => {
    const trace = Trace.from(answer([0, 1000], [1, 2]), 1000);
    trace.append(60_000, 5);
    expect(trace.columns.mean).toEqual([1, 2, null, 5]);
    expect(trace.gaps({ from: 0, to: 61_000 }, 61_000)).toEqual([{ from: 1000, to: 60_000 }]);
  });

  it('leaves out what is older than what it has', () => {
    const trace = Trace.from(answer([0, 1000], [1, 2]), 1000);
    trace.append(1000, 99);
    trace.append(500, 99);
    trace.append(2000, Number.NaN);
    expect(trace.columns.mean).toEqual([1, 2]);
  });

  it('shows silence up to the present, but not the moment between two values', () => {
    const trace = Trace.from(answer([0, 1000], [1, 2]), 1000);
    expect(trace.gaps({ from: 0, to: 4000 }, 3000)).toEqual([]);
    expect(trace.gaps({ from: 0, to: 10_000 }, 9000)).toEqual([{ from: 1000, to: 10_000 }]);
  });

  it('calls the time before anything was recorded empty, not a gap', () => {
    const trace = Trace.from(answer([0, 1000, 2000, 3000], [null, null, 5, 6]), 1000);
    expect(trace.gaps({ from: 0, to: 4000 }, 4000)).toEqual([]);
  });

  it('forgets the past, except the point from which the line enters', () => {
    const at = Array.from({ length: 200 }, (_, i) => i * 1000);
    const trace = Trace.from(
      answer(
        at,
        at.map(() => 1),
      ),
      1000,
    );
    trace.trim(150_500);
    expect(trace.columns.at[0]).toBe(150_000);
    expect(trace.columns.mean.length).toBe(50);
  });

  it('is bounded, whatever is appended', () => {
    const trace = Trace.empty(1000, 1000);
    for (let i = 0; i < MAX_POINTS + 500; i++) {
      trace.append(i * 1000 + 1, i);
      trace.trim(0);
    }
    expect(trace.columns.at.length).toBeLessThanOrEqual(MAX_POINTS);
  });

  it('finds the point of a moment, and none in a gap', () => {
    const trace = Trace.from(answer([0, 10_000, 60_000, 70_000], [1, 2, 3, 4], 10_000), 1000);
    expect(trace.columns.mean[trace.indexAt(14_000)]).toBe(2);
    expect(trace.columns.mean[trace.indexAt(69_999)]).toBe(3);
    expect(trace.indexAt(45_000)).toBe(-1);
  });
});

it('a live picture looks as it would after a reload', () => {
  const values = Array.from({ length: 60 }, (_, i) => ({ at: 100_000 + i * 1000, value: i % 7 }));
  const grown = Trace.from(answer([], [], 10_000), 1000);
  for (const { at, value } of values) grown.append(at, value);
  const bucket = new Map<number, number[]>();
  for (const { at, value } of values) {
    const place = Math.floor(at / 10_000) * 10_000;
    bucket.set(place, [...(bucket.get(place) ?? []), value]);
  }
  expect(grown.columns.at).toEqual([...bucket.keys()]);
  [...bucket.values()].forEach((list, i) => {
    expect(grown.columns.mean[i]).toBeCloseTo(list.reduce((a, b) => a + b, 0) / list.length, 9);
    expect(grown.columns.max[i]).toBe(Math.max(...list));
  });
});

it('a gap at the edge of a view is cut to it', () => {
  const columns = { at: [0, 5000, 20_000], min: [1, null, 2], mean: [1, null, 2], max: [1, null, 2] };
  expect(gapsOf(columns, 1000, 1000, { from: 3000, to: 10_000 }, 21_000, 20_000)).toEqual([
    { from: 3000, to: 10_000 },
  ]);
});

it('only what all traces miss is a gap of the chart', () => {
  expect(commonGaps([[{ from: 0, to: 10 }], [{ from: 5, to: 20 }]])).toEqual([{ from: 5, to: 10 }]);
  expect(commonGaps([[{ from: 0, to: 10 }], []])).toEqual([]);
  expect(commonGaps([])).toEqual([]);
});

describe('joining', () => {
  it('shares columns as they are where the moments are the same', () => {
    const at = [1, 2, 3];
    const column = [1, null, 3];
    const joined = join([
      { at, columns: [column] },
      { at: [1, 2, 3], columns: [[4, 5, 6]] },
    ]);
    expect(joined.at).toBe(at);
    expect(joined.values[0]).toBe(column);
  });

  it('keeps a gap a gap, and lets a line pass where only another trace has a point', () => {
    const joined = join([
      { at: [0, 10, 20], columns: [[1, null, 3]] },
      { at: [5, 10], columns: [[7, 8]] },
    ]);
    expect(joined.at).toEqual([0, 5, 10, 20]);
    expect(joined.values[0]).toEqual([1, undefined, null, 3]);
    expect(joined.values[1]).toEqual([undefined, 7, 8, undefined]);
  });
});

it('the top of a chart is what can be seen of it', () => {
  const columns = { at: [0, 10, 20], min: [0, 0, 0], mean: [5, 2, 3], max: [90, 4, 6] };
  expect(highest(columns, 'mean', { from: 5, to: 25 })).toBe(3);
  expect(highest(columns, 'band', { from: 5, to: 25 })).toBe(6);
  expect(highest(columns, 'mean', { from: 100, to: 200 })).toBeNull();
});

it('seconds in which nothing happened are no silence of the chart', () => {
  const columns = () => ({ at: [0, 1000, 9000], min: [1, 1, 1], mean: [1, null, 1], max: [1, 1, 1] });
  const view = { from: 0, to: 10_000 };
  const steady = new Trace(columns(), 1000, 1000);
  const waits = new Trace(columns(), 1000, 1000, undefined, true);
  expect(silencesOf([waits], view, 10_000)).toEqual([]);
  expect(silencesOf([steady], view, 10_000)).toEqual([{ from: 0, to: 9000 }]);
  expect(silencesOf([steady, waits], view, 10_000), 'the other one still tells').toEqual([
    { from: 0, to: 9000 },
  ]);
});
