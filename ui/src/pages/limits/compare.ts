// A figure before and after, as numbers and as two intervals on one scale. Pure.

import type { Compared, Estimate } from '../../lib/bindings';
import { count, digits3, millis, signed } from '../../lib/format';

/**
 * How long until the comparison is looked at again. The span after the mark grows: while it is
 * young each second of it says more.
 */
export const nextLookMs = (age_ms: number): number => (age_ms < 180_000 ? 5_000 : 60_000);

export const WIDTH = 132;
const EDGE = 6;

export interface Bar {
  y: number;
  low: number;
  high: number;
  at: number;
  color: string;
}

export interface Pair {
  before: string | null;
  after: string | null;
  /** For a screen reader. */
  spans: string;
  drawn: Bar[] | null;
  /** What the left and the right end of the drawing stand for. */
  ends: [left: string, right: string];
}

const write = (value: number, unit: string): string => {
  if (unit === 'ms') return millis(value).unit === 'ms' ? millis(value).value : signed(value, 0);
  if (unit === '%') return signed(value, Math.abs(value) < 10 ? 1 : 0);
  return value >= 1000 ? `${count(value).value} ${count(value).unit}` : digits3(value);
};

export function pairOf({ before, after, unit }: Compared): Pair {
  const say = (of: Estimate | null) => (of === null ? null : write(of.value, unit));
  const both = [before, after].filter((of) => of !== null);
  const spans = both.map((of) => `${write(of.low, unit)} to ${write(of.high, unit)} ${unit}`).join(', then ');
  const low = Math.min(...both.map((of) => of.low));
  const high = Math.max(...both.map((of) => of.high));
  const x = (value: number) => EDGE + ((value - low) / (high - low || 1)) * (WIDTH - 2 * EDGE);
  const bar = (of: Estimate, y: number, color: string): Bar => ({
    y,
    low: x(of.low),
    high: x(of.high),
    at: x(of.value),
    color,
  });
  const drawn =
    before && after && high > low ? [bar(before, 5, 'var(--text-3)'), bar(after, 13, 'var(--text-1)')] : null;
  return {
    before: say(before),
    after: say(after),
    spans,
    drawn,
    ends: [write(low, unit), write(high, unit)],
  };
}
