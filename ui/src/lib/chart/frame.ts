// Where a chart's painters draw: the plot within its canvas, in CSS pixels (the
// context is scaled to the screen's before), and the hatch they share.

import type { Span } from '../range';
import type { Ink } from './ink';

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

export interface Box {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

/** Whether a line with a band passes through a box, both in pixels of the canvas. */
export function crosses(
  f: Pick<Frame, 'left' | 'top' | 'width' | 'height' | 'view' | 'lo' | 'hi'>,
  { at, min, max }: { at: number[]; min: (number | null)[]; max: (number | null)[] },
  box: Box,
): boolean {
  const frame = f as Frame;
  for (let i = 0; i < at.length; i++) {
    const low = min[i];
    const high = max[i];
    if (low == null || high == null) continue;
    const x = xOf(frame, at[i] ?? 0);
    // From a point a line leads to the next one, unless a gap lies between.
    const next = max[i + 1] == null ? i : i + 1;
    if (x > box.right || xOf(frame, at[next] ?? 0) < box.left) continue;
    const upper = Math.max(high, max[next] ?? high);
    const lower = Math.min(low, min[next] ?? low);
    if (yOf(frame, upper) <= box.bottom && yOf(frame, lower) >= box.top) return true;
  }
  return false;
}

const patterns = new Map<string, CanvasPattern | null>();

/** Diagonal hatch, from a tile in the screen's pixels that is drawn once. */
export function hatch(
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
