// Data of one trace, as columns ordered by time. Loaded from the history once,
// then grown by live values: a chart that is watched asks nothing a second time.

import type { SeriesAnswer } from '../bindings';
import type { Span } from '../range';

export interface Columns {
  at: number[];
  min: (number | null)[];
  mean: (number | null)[];
  max: (number | null)[];
}

/** Silence longer than so many cadences is a gap (and never a zero). */
export const GAP_CADENCES = 2.5;

/** A bound for what is kept, whatever the range: two points a pixel of the widest chart. */
export const MAX_POINTS = 8192;

export class Trace {
  readonly columns: Columns;
  /** Span of time that one point stands for. */
  readonly step: number;
  readonly cadence: number;
  /**
   * Has a value only when something happened, as the time that requests waited: its silence
   * means that nothing did, and tells nothing about what was recorded.
   */
  readonly occasional: boolean;
  // How many samples the newest point is made of, and when the newest came.
  #count: number;
  #newest: number;

  constructor(columns: Columns, step: number, cadence: number, until?: number, occasional = false) {
    this.columns = columns;
    this.occasional = occasional;
    this.step = Math.max(1, step);
    this.cadence = Math.max(1, cadence);
    const last = columns.at.at(-1);
    this.#newest = last ?? 0;
    // The history's last point is unfinished: weigh it by the samples it can hold so far.
    const covered = last === undefined ? 0 : Math.min(this.step, Math.max(0, (until ?? last) - last));
    this.#count = Math.max(1, Math.round(covered / this.cadence));
  }

  /** From the history's answer; silences become gaps where the answer left them out. */
  static from(answer: SeriesAnswer, cadence: number, until?: number, shift = 0, occasional = false): Trace {
    const { at_ms, min, mean, max } = answer.points;
    const columns: Columns = { at: [], min: [], mean: [], max: [] };
    const limit = GAP_CADENCES * Math.max(answer.step_ms, cadence);
    for (let i = 0; i < at_ms.length; i++) {
      const at = (at_ms[i] ?? 0) + shift;
      const before = columns.at.at(-1);
      if (before !== undefined && at - before > limit) pushGap(columns, before + answer.step_ms);
      columns.at.push(at);
      columns.min.push(min[i] ?? null);
      columns.mean.push(mean[i] ?? null);
      columns.max.push(max[i] ?? null);
    }
    return new Trace(columns, answer.step_ms, cadence, until, occasional);
  }

  static empty(step: number, cadence: number, occasional = false): Trace {
    return new Trace({ at: [], min: [], mean: [], max: [] }, step, cadence, undefined, occasional);
  }

  /** Takes a live value in. Values that are older than the newest are left out: the history knows them better. */
  append(at: number, value: number): void {
    const { columns, step } = this;
    if (!Number.isFinite(value) || at <= this.#newest) return;
    const last = columns.at.length - 1;
    const lastAt = columns.at[last];
    const silence = at - Math.max(this.#newest, lastAt ?? 0);
    if (lastAt !== undefined && silence > GAP_CADENCES * Math.max(step, this.cadence)) {
      if (columns.mean[last] !== null) pushGap(columns, Math.min(lastAt + step, at - 1));
    } else if (lastAt !== undefined && at - lastAt < step && columns.mean[last] !== null) {
      const n = this.#count;
      columns.mean[last] = ((columns.mean[last] ?? value) * n + value) / (n + 1);
      columns.min[last] = Math.min(columns.min[last] ?? value, value);
      columns.max[last] = Math.max(columns.max[last] ?? value, value);
      this.#count = n + 1;
      this.#newest = at;
      return;
    }
    // Points of a step stand where the history would put them, so that a reload changes nothing.
    const place =
      step > this.cadence ? Math.max(Math.floor(at / step) * step, (columns.at.at(-1) ?? 0) + 1) : at;
    columns.at.push(place);
    columns.min.push(value);
    columns.mean.push(value);
    columns.max.push(value);
    this.#count = 1;
    this.#newest = at;
  }

  /** Forgets what lies before a moment, except one point, from which the line enters the picture. */
  trim(before: number): void {
    const { at, min, mean, max } = this.columns;
    let drop = Math.max(0, at.length - MAX_POINTS);
    while (drop + 1 < at.length && (at[drop + 1] ?? Infinity) <= before) drop += 1;
    // Cutting an array each second costs more than a few points too many.
    if (drop < 64 && at.length <= MAX_POINTS) return;
    for (const column of [at, min, mean, max]) column.splice(0, drop);
  }

  /** The newest moment that something is known about. */
  get newest(): number {
    return this.#newest;
  }

  /** Where nothing is known within a span; time before the first point is not a gap. */
  gaps(view: Span, now: number): Span[] {
    return gapsOf(this.columns, this.step, this.cadence, view, now, this.#newest);
  }

  /** Index of the point that stands for a moment, or -1 in a gap. */
  indexAt(ms: number): number {
    const { at, mean } = this.columns;
    let low = 0;
    let high = at.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      if ((at[middle] ?? 0) <= ms) low = middle + 1;
      else high = middle - 1;
    }
    // `high` is the last point not after the moment; a raw point may be just after it.
    const reach = GAP_CADENCES * Math.max(this.step, this.cadence);
    const before = at[high];
    const after = at[high + 1];
    if (before !== undefined && mean[high] !== null && ms - before <= reach) return high;
    if (after !== undefined && mean[high + 1] !== null && after - ms <= this.step / 2) return high + 1;
    return -1;
  }
}

function pushGap(columns: Columns, at: number): void {
  columns.at.push(at);
  columns.min.push(null);
  columns.mean.push(null);
  columns.max.push(null);
}

export function gapsOf(
  columns: Columns,
  step: number,
  cadence: number,
  view: Span,
  now: number,
  newest: number,
): Span[] {
  const { at, mean } = columns;
  const out: Span[] = [];
  let lastValue: number | null = null;
  let open = false;
  for (let i = 0; i < at.length; i++) {
    const t = at[i] ?? 0;
    if (mean[i] === null) {
      if (lastValue !== null) open = true;
      continue;
    }
    if (open && lastValue !== null) pushVisible(out, { from: lastValue, to: t }, view);
    open = false;
    lastValue = t;
  }
  // Silence up to the present is a gap as well, once it is long enough.
  const until = Math.min(view.to, now);
  const heard = open ? lastValue : lastValue === null ? null : Math.max(lastValue, newest);
  if (heard !== null && until - heard > GAP_CADENCES * Math.max(step, cadence)) {
    // Drawn to the edge of the picture, so that it does not change with every second.
    const from = open ? heard : Math.min(until, heard + (step > cadence ? step : 0));
    pushVisible(out, { from, to: view.to }, view);
  }
  return out;
}

function pushVisible(out: Span[], gap: Span, view: Span): void {
  if (gap.to <= view.from || gap.from >= view.to) return;
  out.push({ from: Math.max(gap.from, view.from), to: Math.min(gap.to, view.to) });
}

/** Where a chart of these traces knows nothing: what has values only now and then has no say. */
export function silencesOf(traces: readonly Trace[], view: Span, now: number): Span[] {
  return commonGaps(traces.filter((t) => !t.occasional).map((t) => t.gaps(view, now)));
}

/** Spans in which *every* trace is silent: only those are hatched for a chart as a whole. */
export function commonGaps(all: readonly Span[][]): Span[] {
  return (
    all.reduce<Span[] | null>((common, next) => {
      if (common === null) return next;
      const out: Span[] = [];
      for (const a of common) {
        for (const b of next) {
          const from = Math.max(a.from, b.from);
          const to = Math.min(a.to, b.to);
          if (to > from) out.push({ from, to });
        }
      }
      return out;
    }, null) ?? []
  );
}

/** What is to be drawn of a trace. */
export type Mode = 'mean' | 'band' | 'max';

/** Columns that share one axis of moments. `undefined`: this trace has no point there, its line goes on. */
export interface Joined {
  at: number[];
  values: (number | null | undefined)[][];
}

/** Puts columns of several traces on one axis; each gives its columns in order. */
export function join(parts: readonly { at: number[]; columns: (number | null)[][] }[]): Joined {
  const [first, ...others] = parts;
  if (!first) return { at: [], values: [] };
  const same = others.every((p) => p.at === first.at || sameMoments(p.at, first.at));
  if (same) return { at: first.at, values: parts.flatMap((p) => p.columns) };
  const at = mergeMoments(parts.map((p) => p.at));
  const values: Joined['values'] = [];
  for (const part of parts) {
    const place = new Int32Array(at.length).fill(-1);
    let j = 0;
    for (let i = 0; i < at.length; i++) {
      if (part.at[j] === at[i]) place[i] = j++;
    }
    for (const column of part.columns) {
      values.push(Array.from(place, (p) => (p < 0 ? undefined : column[p])));
    }
  }
  return { at, values };
}

function sameMoments(a: number[], b: number[]): boolean {
  return a.length === b.length && a.every((t, i) => t === b[i]);
}

function mergeMoments(all: number[][]): number[] {
  const sorted = all.flat().sort((a, b) => a - b);
  return sorted.filter((t, i) => i === 0 || t !== sorted[i - 1]);
}

/** Largest value within a span, of the column that is drawn highest; `null` where there is none. */
export function highest(columns: Columns, mode: Mode, view: Span): number | null {
  const column = mode === 'mean' ? columns.mean : columns.max;
  let top: number | null = null;
  for (let i = 0; i < columns.at.length; i++) {
    const t = columns.at[i] ?? 0;
    const value = column[i];
    if (t < view.from || t > view.to || value === null || value === undefined) continue;
    if (top === null || value > top) top = value;
  }
  return top;
}
