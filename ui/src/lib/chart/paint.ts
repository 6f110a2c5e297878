// What stands on a chart's canvas besides its traces: grid, reserve, gaps, the
// load line with its mark, marks on the axis. Everything in CSS pixels; the
// context is scaled to the screen's pixels before.

import type { MarkKind } from '../bindings';
import type { Span } from '../range';
import type { LoadState, Tick } from './scale';

export interface Ink {
  text2: string;
  text3: string;
  surface: string;
  grid: string;
  lineStrong: string;
  mute: string;
  accent: string;
  warn: string;
  danger: string;
  info: string;
  load: Record<LoadState, string>;
  reserve: string;
  reserveAlpha: number;
  fontSmall: string;
  fontLabel: string;
  /** Colour of a token, e.g. `--s1`. */
  of(token: string): string;
}

/** Reads the tokens as they stand; asked for again when the theme changes. */
export function readInk(element: Element): Ink {
  const style = getComputedStyle(element);
  const of = (token: string) => style.getPropertyValue(token).trim() || '#888';
  const cache = new Map<string, string>();
  return {
    text2: of('--text-2'),
    text3: of('--text-3'),
    surface: of('--surface-1'),
    grid: of('--grid'),
    lineStrong: of('--line-strong'),
    mute: of('--s-mute'),
    accent: of('--accent'),
    warn: of('--warn'),
    danger: of('--danger'),
    info: of('--info'),
    load: { ok: of('--load'), near: of('--warn'), over: of('--danger') },
    reserve: of('--reserve'),
    reserveAlpha: Number(of('--reserve-alpha')) || 0.07,
    fontSmall: `10.5px ${of('--font-num')}`,
    fontLabel: `11px ${of('--font-ui')}`,
    of(token) {
      let color = cache.get(token);
      if (color === undefined) cache.set(token, (color = of(token)));
      return color;
    },
  };
}

export interface Frame {
  ctx: CanvasRenderingContext2D;
  dpr: number;
  /** The plot within the canvas. */
  left: number;
  top: number;
  width: number;
  height: number;
  view: Span;
  lo: number;
  hi: number;
  ink: Ink;
}

export const xOf = (f: Frame, ms: number): number =>
  f.left + ((ms - f.view.from) / (f.view.to - f.view.from)) * f.width;
export const yOf = (f: Frame, value: number): number =>
  f.top + f.height - ((value - f.lo) / (f.hi - f.lo || 1)) * f.height;

/** The middle of the nearest pixel of the screen, so that a line of one pixel is one pixel. */
export const crisp = (f: Frame, v: number): number =>
  (Math.round(v * f.dpr) + (f.dpr % 2 === 1 ? 0.5 : 0)) / f.dpr;

export function grid(
  f: Frame,
  values: readonly Tick[],
  times: readonly Tick[],
  base: boolean,
  timeLabels = false,
): void {
  const { ctx, ink } = f;
  ctx.lineWidth = 1;
  ctx.strokeStyle = ink.grid;
  ctx.beginPath();
  for (const { at } of values) {
    const y = crisp(f, yOf(f, at));
    ctx.moveTo(f.left, y);
    ctx.lineTo(f.left + f.width, y);
  }
  for (const { at } of times) {
    const x = crisp(f, xOf(f, at));
    ctx.moveTo(x, f.top);
    ctx.lineTo(x, f.top + f.height);
  }
  ctx.stroke();
  if (base) {
    ctx.strokeStyle = ink.lineStrong;
    ctx.beginPath();
    const y = crisp(f, f.top + f.height);
    ctx.moveTo(f.left, y);
    ctx.lineTo(f.left + f.width, y);
    ctx.stroke();
  }
  ctx.font = ink.fontSmall;
  ctx.fillStyle = ink.text3;
  ctx.textAlign = 'right';
  ctx.textBaseline = 'alphabetic';
  for (const { at, label } of values) ctx.fillText(label, f.left - 6, yOf(f, at) + 3.5);
  if (!timeLabels) return;
  ctx.textAlign = 'center';
  for (const { at, label } of times) {
    const x = xOf(f, at);
    if (x > f.left + 12 && x < f.left + f.width - 12) ctx.fillText(label, x, f.top + f.height + 14);
  }
}

/** A word at the top of the axis. */
export function note(f: Frame, text: string): void {
  const { ctx, ink } = f;
  ctx.font = ink.fontLabel;
  ctx.textAlign = 'left';
  ctx.lineWidth = 4;
  ctx.lineJoin = 'round';
  ctx.strokeStyle = ink.surface;
  ctx.strokeText(text, f.left + 4, f.top + 10);
  ctx.fillStyle = ink.text3;
  ctx.fillText(text, f.left + 4, f.top + 10);
}

const patterns = new Map<string, CanvasPattern | null>();

/** Diagonal hatch, drawn with lines: a pattern would be scaled with the screen. */
function hatch(
  f: Frame,
  x: number,
  y: number,
  w: number,
  h: number,
  color: string,
  gap: number,
  rising: boolean,
): void {
  if (w <= 0 || h <= 0) return;
  const key = `${color}|${gap}|${rising}|${f.dpr}`;
  let pattern = patterns.get(key);
  if (pattern === undefined) {
    if (patterns.size > 32) patterns.clear();
    const tile = document.createElement('canvas');
    const size = Math.max(1, Math.round(gap * Math.SQRT2 * f.dpr));
    tile.width = size;
    tile.height = size;
    const pen = tile.getContext('2d');
    if (pen) {
      pen.strokeStyle = color;
      pen.lineWidth = f.dpr;
      pen.lineCap = 'square';
      pen.beginPath();
      for (const shift of [-size, 0, size]) {
        if (rising) {
          pen.moveTo(shift, size);
          pen.lineTo(shift + size, 0);
        } else {
          pen.moveTo(shift, 0);
          pen.lineTo(shift + size, size);
        }
      }
      pen.stroke();
    }
    pattern = f.ctx.createPattern(tile, 'repeat');
    patterns.set(key, pattern);
  }
  if (!pattern) return;
  const { ctx } = f;
  ctx.save();
  ctx.beginPath();
  ctx.rect(x, y, w, h);
  ctx.clip();
  // The tile is in the screen's pixels.
  ctx.scale(1 / f.dpr, 1 / f.dpr);
  ctx.fillStyle = pattern;
  ctx.fillRect(x * f.dpr, y * f.dpr, w * f.dpr, h * f.dpr);
  ctx.restore();
}

export interface Load {
  /** In the unit of the axis' values. */
  value: number;
  label: string;
  state: LoadState;
  /** True for a line one must stay above. */
  floor?: boolean;
  /** Whether what lies beyond the line is a reserve up to a physical end. */
  reserve?: boolean;
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

/** The load line: one pixel over the plot, the mark at its right end, then its value. */
export function loadLine(f: Frame, load: Load): void {
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
  ctx.fillText(load.label, end + r + 7, y + 3.5);
}

/** A gap: hatched between two hairlines, its length or reason beside it where there is room. */
export function gaps(f: Frame, spans: readonly Span[], label?: (gap: Span) => string | null): void {
  const { ctx, ink } = f;
  for (const gap of spans) {
    const x = Math.max(f.left, xOf(f, gap.from));
    const end = Math.min(f.left + f.width, xOf(f, gap.to));
    const w = end - x;
    if (w < 0.5) continue;
    ctx.save();
    ctx.globalAlpha = 0.45;
    hatch(f, x, f.top, w, f.height, ink.mute, 6, false);
    ctx.restore();
    ctx.strokeStyle = ink.lineStrong;
    ctx.lineWidth = 1;
    ctx.beginPath();
    for (const edge of [crisp(f, x), crisp(f, end - 1)]) {
      ctx.moveTo(edge, f.top);
      ctx.lineTo(edge, f.top + f.height);
    }
    ctx.stroke();
  }
  if (label) gapLabels(f, spans, label);
}

/** The words beside the gaps: the longest gap first, and none over another. */
function gapLabels(f: Frame, spans: readonly Span[], label: (gap: Span) => string | null): void {
  const { ctx, ink } = f;
  const taken: [number, number][] = [];
  ctx.font = ink.fontLabel;
  ctx.textAlign = 'left';
  ctx.lineJoin = 'round';
  const right = f.left + f.width;
  for (const gap of [...spans].sort((a, b) => b.to - b.from - (a.to - a.from)).slice(0, 8)) {
    const text = label(gap);
    if (!text) continue;
    const long = ctx.measureText(text).width;
    const before = xOf(f, gap.from) - 8 - long;
    const after = xOf(f, gap.to) + 8;
    const place = [before, after].find(
      (x) => x >= f.left && x + long <= right && taken.every(([a, b]) => x + long < a - 8 || x > b + 8),
    );
    if (place === undefined) continue;
    taken.push([place, place + long]);
    const y = f.top + f.height - 8;
    ctx.lineWidth = 4;
    ctx.strokeStyle = ink.surface;
    ctx.strokeText(text, place, y);
    ctx.fillStyle = ink.text2;
    ctx.fillText(text, place, y);
  }
}

export function markColor(ink: Ink, kind: MarkKind): string {
  switch (kind) {
    case 'change':
      return ink.accent;
    case 'alert':
      return ink.warn;
    case 'load_test':
    case 'history':
      return ink.info;
    case 'restart':
    case 'clock':
      return ink.text3;
  }
}

/** Marks: dotted over the whole height, or ticks of 6 px on the base line. */
export function marks(f: Frame, list: readonly { at_ms: number; kind: MarkKind }[], ticks: boolean): void {
  const { ctx } = f;
  ctx.save();
  ctx.globalAlpha = 0.8;
  ctx.lineWidth = ticks ? 1.5 : 1;
  if (!ticks) ctx.setLineDash([2, 3]);
  for (const mark of list) {
    if (mark.at_ms < f.view.from || mark.at_ms > f.view.to) continue;
    const x = crisp(f, xOf(f, mark.at_ms));
    ctx.strokeStyle = markColor(f.ink, mark.kind);
    ctx.beginPath();
    ctx.moveTo(x, ticks ? f.top + f.height - 6 : f.top);
    ctx.lineTo(x, f.top + f.height);
    ctx.stroke();
  }
  ctx.restore();
}

/** A hairline where a paused picture stopped. */
export function stopped(f: Frame, at: number): void {
  if (at < f.view.from || at > f.view.to) return;
  const { ctx } = f;
  const x = crisp(f, Math.min(xOf(f, at), f.left + f.width - 1));
  ctx.strokeStyle = f.ink.text3;
  ctx.lineWidth = 1;
  ctx.beginPath();
  ctx.moveTo(x, f.top);
  ctx.lineTo(x, f.top + f.height);
  ctx.stroke();
}
