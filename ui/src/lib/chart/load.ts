// The load line: the line with its mark, the reserve beyond it, and where a trace overran it.

import { crisp, hatch, xOf, yOf, type Frame } from './frame';
import type { LoadState } from './scale';

export interface Load {
  /** In the unit of the axis' values. */
  value: number;
  label: string;
  state: LoadState;
  /** True for a line one must stay above. */
  floor?: boolean;
  /** True for a limit that is meant to be filled: what stands above it waits, and is no overrun. */
  meant?: boolean;
  /** Whether what lies beyond the line is a reserve up to a physical end. */
  reserve?: boolean;
}

/** A line that does not hold yet: dashed, with a larger mark that can be taken hold of. */
export interface Proposed {
  value: number;
  label: string;
  /** From this share of the width on; what is predicted has no past. */
  from?: number;
  /** It says what would be, and cannot be moved. */
  predicted?: boolean;
}

/** A height that is worth a word: the most there was, where a line stands far above it. */
export interface Height {
  value: number;
  label: string;
}

/** Between the load line and the physical end. */
export function reserve(f: Frame, load: Load): void {
  if (load.reserve === false) return;
  const y = Math.min(Math.max(yOf(f, load.value), f.top), f.top + f.height);
  const { ctx } = f;
  ctx.save();
  ctx.globalAlpha = f.ink.reserveAlpha;
  if (load.floor) hatch(f, f.left, y, f.width, f.top + f.height - y, f.ink.reserve, 5, true);
  else hatch(f, f.left, f.top, f.width, y - f.top, f.ink.reserve, 5, true);
  ctx.restore();
}

/** Where a trace is beyond its line: the area between, with a red edge. */
export function beyond(
  f: Frame,
  load: Load,
  at: readonly number[],
  values: readonly (number | null | undefined)[],
): void {
  const { ctx } = f;
  const y0 = crisp(f, yOf(f, load.value));
  const is = (v: number | null | undefined): v is number =>
    v !== null && v !== undefined && (load.floor ? v < load.value : v > load.value);
  ctx.save();
  ctx.beginPath();
  ctx.rect(f.left, f.top, f.width, f.height);
  ctx.clip();
  ctx.fillStyle = f.ink.danger;
  ctx.strokeStyle = f.ink.danger;
  ctx.lineWidth = 1.4;
  let run: [number, number][] = [];
  // Where the line is crossed, between two points.
  const crossing = (i: number, j: number): [number, number] | null => {
    const a = values[i];
    const b = values[j];
    if (typeof a !== 'number' || typeof b !== 'number' || a === b) return null;
    const part = (load.value - a) / (b - a);
    const t = (at[i] ?? 0) + part * ((at[j] ?? 0) - (at[i] ?? 0));
    return [xOf(f, t), y0];
  };
  const flush = () => {
    const first = run[0];
    const last = run.at(-1);
    if (first && last && run.length > 1) {
      ctx.beginPath();
      ctx.moveTo(first[0], y0);
      for (const [x, y] of run) ctx.lineTo(x, y);
      ctx.lineTo(last[0], y0);
      ctx.closePath();
      ctx.globalAlpha = 0.35;
      ctx.fill();
      ctx.globalAlpha = 1;
      ctx.beginPath();
      ctx.moveTo(first[0], first[1]);
      for (const [x, y] of run) ctx.lineTo(x, y);
      ctx.stroke();
    }
    run = [];
  };
  for (let i = 0; i < at.length; i++) {
    const t = at[i] ?? 0;
    const value = values[i];
    if (value === undefined) continue;
    if (is(value)) {
      if (run.length === 0 && i > 0) {
        const from = crossing(i - 1, i);
        if (from) run.push(from);
      }
      run.push([xOf(f, t), yOf(f, value)]);
    } else {
      if (run.length > 0) {
        const to = crossing(i - 1, i);
        if (to) run.push(to);
      }
      flush();
    }
  }
  flush();
  ctx.restore();
}

/** Where words at the right end stand, in the order given: of two that are closer than this the lower one goes down. */
export function apart(heights: readonly number[], bottom: number, least = 13): number[] {
  const order = heights.map((_, i) => i).sort((a, b) => (heights[a] ?? 0) - (heights[b] ?? 0));
  const places = [...heights];
  order.forEach((i, at) => {
    const above = order[at - 1];
    if (above !== undefined) places[i] = Math.max(places[i] ?? 0, (places[above] ?? 0) + least);
  });
  // At the ground they go up instead.
  let floor = bottom;
  for (const i of [...order].reverse()) {
    places[i] = Math.min(places[i] ?? 0, floor);
    floor = (places[i] ?? 0) - least;
  }
  return places;
}

/** The lines of a chart with their words, none of which lies over another. */
export function lines(
  f: Frame,
  load: Load | null,
  proposed: readonly Proposed[],
  heights: readonly Height[],
): void {
  const shown = proposed.filter((p) => p.value >= f.lo && p.value <= f.hi);
  const at = load !== null && load.value >= f.lo && load.value <= f.hi ? [yOf(f, load.value)] : [];
  const words = apart(
    [...at, ...shown.map((p) => yOf(f, p.value)), ...heights.map((h) => yOf(f, h.value))],
    f.top + f.height,
  );
  if (load !== null && at.length > 0) loadLine(f, load, words[0]);
  shown.forEach((p, i) => proposedLine(f, p, words[at.length + i] ?? 0));
  const { ctx, ink } = f;
  ctx.font = ink.fontSmall;
  ctx.textAlign = 'left';
  ctx.textBaseline = 'alphabetic';
  heights.forEach((height, i) => {
    const y = words[at.length + shown.length + i] ?? 0;
    const right = f.left + f.width;
    ctx.strokeStyle = ink.lineStrong;
    ctx.lineWidth = 1;
    ctx.beginPath();
    ctx.moveTo(right, crisp(f, yOf(f, height.value)));
    ctx.lineTo(right + 7, crisp(f, yOf(f, height.value)));
    ctx.stroke();
    ctx.fillStyle = ink.text3;
    ctx.fillText(height.label, right + 11, y + 3.5);
  });
}

function proposedLine(
  f: Frame,
  { value, label, from = 0, predicted = false }: Proposed,
  labelY: number,
): void {
  const { ctx, ink } = f;
  const y = crisp(f, yOf(f, value));
  const end = f.left + f.width;
  const r = predicted ? 0 : 6;
  ctx.save();
  ctx.strokeStyle = ink.accent;
  ctx.lineWidth = 1.2;
  ctx.setLineDash([4, 3]);
  ctx.beginPath();
  ctx.moveTo(f.left + from * f.width, y);
  ctx.lineTo(end - r, y);
  ctx.stroke();
  ctx.setLineDash([]);
  if (!predicted) {
    ctx.fillStyle = ink.surface;
    ctx.lineWidth = 1.4;
    ctx.beginPath();
    ctx.arc(end, y, r, 0, 2 * Math.PI);
    ctx.fill();
    ctx.stroke();
    ctx.beginPath();
    ctx.moveTo(end - r - 2, y);
    ctx.lineTo(end + r + 2, y);
    ctx.stroke();
  }
  ctx.restore();
  ctx.font = `500 ${ink.fontSmall}`;
  ctx.fillStyle = ink.accent;
  ctx.textAlign = 'left';
  ctx.textBaseline = 'alphabetic';
  ctx.fillText(label, end + 11, labelY + 3.5);
}

/** The load line: one pixel over the plot, the mark at its right end, then its value. */
export function loadLine(f: Frame, load: Load, labelY?: number): void {
  const { ctx, ink } = f;
  if (load.value < f.lo || load.value > f.hi) return;
  const color = ink.load[load.state];
  const y = crisp(f, yOf(f, load.value));
  const end = f.left + f.width;
  const r = 4;
  ctx.strokeStyle = color;
  ctx.lineWidth = 1;
  ctx.beginPath();
  ctx.moveTo(f.left, y);
  ctx.lineTo(end + r + 4, y);
  ctx.stroke();
  ctx.fillStyle = ink.surface;
  ctx.lineWidth = 1.2;
  ctx.beginPath();
  ctx.arc(end, y, r, 0, 2 * Math.PI);
  ctx.fill();
  ctx.stroke();
  ctx.beginPath();
  ctx.moveTo(end - r, y);
  ctx.lineTo(end + r, y);
  ctx.stroke();
  ctx.font = `500 ${ink.fontSmall}`;
  ctx.fillStyle = color;
  ctx.textAlign = 'left';
  ctx.textBaseline = 'alphabetic';
  ctx.fillText(load.label, end + r + 7, (labelY ?? y) + 3.5);
}
