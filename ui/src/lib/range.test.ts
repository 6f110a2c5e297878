import { expect, it } from 'vitest';

import {
  LONGEST_MS,
  longer,
  pan,
  RANGES,
  SHORTEST_MS,
  shiftOf,
  shorter,
  spanOf,
  stepOf,
  zoom,
} from './range';

const now = 1_800_000_000_000;

it('a span is in order, not in the future and not shorter than a chart can show', () => {
  expect(spanOf(now - 1000, now - 90_000, now)).toEqual({ from: now - 90_000, to: now - 1000 });
  const tiny = spanOf(now - 50_000, now - 49_000, now);
  expect(tiny.to - tiny.from).toBe(SHORTEST_MS);
  expect(spanOf(now - 60_000, now + 3_600_000, now).to).toBe(now);
  expect(spanOf(0, now, now).from).toBe(now - LONGEST_MS);
});

it('zooming keeps the moment under the pointer where it is', () => {
  const view = { from: now - 3_600_000, to: now - 600_000 };
  const about = now - 1_200_000;
  const part = (about - view.from) / (view.to - view.from);
  const near = zoom(view, 0.5, about, now);
  expect((about - near.from) / (near.to - near.from)).toBeCloseTo(part, 6);
  expect(near.to - near.from).toBe(1_500_000);
});

it('panning stops at the present', () => {
  expect(pan({ from: now - 100_000, to: now - 40_000 }, 90_000, now)).toEqual({
    from: now - 60_000,
    to: now,
  });
  expect(pan({ from: now - 100_000, to: now }, -50_000, now).to).toBe(now - 50_000);
});

it('longer and shorter stop at the ends of the list', () => {
  expect(longer('1y')).toBe('1y');
  expect(shorter('5m')).toBe('5m');
  expect(longer('1h')).toBe('6h');
  expect(shorter('1h')).toBe('15m');
});

it('a moving picture moves by about a pixel, and never more often than once a second', () => {
  expect(stepOf(RANGES['5m'].ms)).toBe(1000);
  expect(stepOf(RANGES['1h'].ms)).toBe(3000);
  expect(stepOf(RANGES['30d'].ms)).toBe(2_160_000);
});

it('a comparison goes back by its own length, a day or a week', () => {
  const view = { from: now - 3_600_000, to: now };
  expect(shiftOf('off', view)).toBe(0);
  expect(shiftOf('before', view)).toBe(3_600_000);
  expect(shiftOf('day', view)).toBe(86_400_000);
  expect(shiftOf('week', view)).toBe(7 * 86_400_000);
});
