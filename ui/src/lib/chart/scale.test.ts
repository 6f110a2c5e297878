import { expect, it } from 'vitest';

import { axisUnit, loadState, niceEnd, timeTicks, valueTicks } from './scale';

const GIB = 2 ** 30;
const labels = (end: number, unit: Parameters<typeof valueTicks>[1], n: number) =>
  valueTicks(end, unit, n).map((t) => t.label);

it('a card of 24 GiB reads 0, 12, 24', () => {
  expect(labels(24 * GIB, 'bytes', 3)).toEqual(['0', '12', '24']);
  // What the driver of such a card says.
  const said = 24_564 * 2 ** 20;
  expect(labels(said, 'bytes', 3)).toEqual(['0', '12', '24']);
  expect(valueTicks(said, 'bytes', 3).at(-1)?.at).toBe(said);
});

it('percent reads 0, 50, 100', () => {
  expect(labels(100, 'percent', 2)).toEqual(['0', '50', '100']);
});

it('an end that is not round has round ticks below it', () => {
  expect(labels(62.7 * GIB, 'bytes', 3)).toEqual(['0', '25', '50']);
});

it('labels of one axis have the decimals their step needs', () => {
  expect(labels(1, 'percent', 4)).toEqual(['0', '0.25', '0.5', '0.75', '1']);
});

it('bytes are counted in the binary unit of the end', () => {
  expect(axisUnit('bytes', 24 * GIB)).toEqual({ factor: GIB, label: 'GiB' });
  expect(axisUnit('bytes_per_second', 3_000_000).label).toBe('MiB/s');
  expect(axisUnit('milliseconds', 20_000)).toEqual({ factor: 1000, label: 's' });
});

it('an end without a physical one is round and above everything', () => {
  for (const value of [0, 0.3, 7, 42, 99.5, 1234, 98_765]) {
    expect(niceEnd(value, 'count')).toBeGreaterThanOrEqual(value);
    expect(niceEnd(value, 'count')).toBeGreaterThan(0);
  }
  expect(niceEnd(3.3 * GIB, 'bytes') / GIB).toBe(4);
});

it('time ticks stand on round local times', () => {
  const from = new Date(2026, 10, 17, 13, 32).getTime();
  const ticks = timeTicks({ from, to: from + 3_600_000 }, 400, from);
  expect(ticks.map((t) => t.label)).toEqual(['13:45', '14:00', '14:15', '14:30']);
});

it('midnight is named by its day', () => {
  const from = new Date(2026, 10, 16, 20, 0).getTime();
  const ticks = timeTicks({ from, to: from + 8 * 3_600_000 }, 500, from);
  expect(ticks.map((t) => t.label)).toContain('17 Nov');
});

it('a year has months', () => {
  const from = new Date(2025, 10, 17).getTime();
  const now = new Date(2026, 10, 17).getTime();
  const ticks = timeTicks({ from, to: now }, 1200, now);
  expect(ticks[0]?.label).toBe('1 Dec 2025');
  expect(ticks.at(-1)?.label).toBe('1 Nov');
  expect(ticks.length).toBe(12);
});

it('ticks do not crowd', () => {
  const from = new Date(2026, 10, 1).getTime();
  for (const length of [10_000, 90_000, 3_600_000, 86_400_000, 30 * 86_400_000, 3650 * 86_400_000]) {
    const ticks = timeTicks({ from, to: from + length }, 880, from);
    expect(ticks.length, `${length} ms`).toBeLessThanOrEqual(11);
    expect(ticks.length, `${length} ms`).toBeGreaterThanOrEqual(1);
  }
});

it('near begins at nine tenths of the line, over above it; a floor is the other way round', () => {
  expect(loadState(null, 100)).toBe('ok');
  expect(loadState(90, 100)).toBe('ok');
  expect(loadState(90.1, 100)).toBe('near');
  expect(loadState(100, 100)).toBe('near');
  expect(loadState(100.1, 100)).toBe('over');
  expect(loadState(99, 100, true)).toBe('over');
  expect(loadState(105, 100, true)).toBe('near');
  expect(loadState(120, 100, true)).toBe('ok');
});
