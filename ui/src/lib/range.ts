// Spans of time and what one may do with them.

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

export const RANGES = {
  '5m': { label: '5 min', ms: 5 * MINUTE },
  '15m': { label: '15 min', ms: 15 * MINUTE },
  '1h': { label: '1 h', ms: HOUR },
  '6h': { label: '6 h', ms: 6 * HOUR },
  '24h': { label: '24 h', ms: DAY },
  '7d': { label: '7 d', ms: 7 * DAY },
  '30d': { label: '30 d', ms: 30 * DAY },
  '1y': { label: '1 y', ms: 365 * DAY },
} as const;

export type RangeId = keyof typeof RANGES;

export const RANGE_IDS = Object.keys(RANGES) as RangeId[];

export interface Span {
  from: number;
  /** Not included. */
  to: number;
}

/** Shorter than that a chart shows nothing: ticks are a second apart. */
export const SHORTEST_MS = 10_000;
/** As long as the coarsest level is kept by default. */
export const LONGEST_MS = 3650 * DAY;

export function longer(id: RangeId): RangeId {
  return RANGE_IDS[Math.min(RANGE_IDS.indexOf(id) + 1, RANGE_IDS.length - 1)] ?? id;
}

export function shorter(id: RangeId): RangeId {
  return RANGE_IDS[Math.max(RANGE_IDS.indexOf(id) - 1, 0)] ?? id;
}

/** Between two moments in either order, kept within what can be shown and not after `now`. */
export function spanOf(a: number, b: number, now: number): Span {
  let from = Math.round(Math.min(a, b));
  let to = Math.round(Math.max(a, b));
  if (to > now + MINUTE) to = Math.round(now);
  if (from > to) from = to;
  if (to - from > LONGEST_MS) from = to - LONGEST_MS;
  if (to - from < SHORTEST_MS) {
    const middle = (from + to) / 2;
    from = Math.round(middle - SHORTEST_MS / 2);
    to = from + SHORTEST_MS;
  }
  return { from, to };
}

/** The span grown or shrunk by `factor` so that `about` stays where it is. */
export function zoom(span: Span, factor: number, about: number, now: number): Span {
  return spanOf(about - (about - span.from) * factor, about + (span.to - about) * factor, now);
}

/** Moved by so many milliseconds, never past the present. */
export function pan(span: Span, ms: number, now: number): Span {
  const by = Math.round(Math.min(ms, now - span.to));
  return { from: span.from + by, to: span.to + by };
}

/** How far a moving picture moves at once: about a pixel of a wide chart, and at least a second. */
export function stepOf(ms: number): number {
  return Math.max(1000, Math.ceil(ms / 1200 / 1000) * 1000);
}

/** What to compare with. */
export type Comparison = 'off' | 'before' | 'day' | 'week';

export const COMPARISONS: Record<Comparison, string> = {
  off: 'Compare',
  before: 'Period before',
  day: 'Yesterday',
  week: 'A week before',
};

/** How far back the compared range lies; 0 where nothing is compared. */
export function shiftOf(comparison: Comparison, span: Span): number {
  switch (comparison) {
    case 'off':
      return 0;
    case 'before':
      return span.to - span.from;
    case 'day':
      return DAY;
    case 'week':
      return 7 * DAY;
  }
}
