// What stands on a chart's canvas besides its traces and its load line: the grid,
// gaps with their reasons, marks on the axis, where a paused picture stopped.

import type { MarkKind } from '../bindings';
import type { Span } from '../range';
import { crisp, hatch, xOf, yOf, type Box, type Frame } from './frame';
import { markColor } from './ink';
import type { Tick } from './scale';

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

/** A gap: hatched between two hairlines. */
export function gaps(f: Frame, spans: readonly Span[]): void {
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
}

/** Length or reason of the gaps, beside all lines: the longest gap first, and none over another. */
export function gapWords(
  f: Frame,
  spans: readonly Span[],
  label: (gap: Span) => string | null,
  isTaken: (box: Box) => boolean,
): void {
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
    // Beside the gap, or within one that leaves no room beside it.
    const within = (Math.max(f.left, xOf(f, gap.from)) + Math.min(right, xOf(f, gap.to)) - long) / 2;
    const wide = xOf(f, gap.to) - xOf(f, gap.from) > long + 24;
    const fits = (x: number) =>
      x >= f.left && x + long <= right && taken.every(([a, b]) => x + long < a - 8 || x > b + 8);
    const clear = ([x, y]: readonly [number, number]) =>
      !isTaken({ left: x - 2, right: x + long + 2, top: y - 10, bottom: y + 3 });
    // On the ground, else under the ceiling. Where lines pass everywhere nothing is said:
    // that there is a gap is seen.
    const place = [f.top + f.height - 8, f.top + 22]
      .flatMap((y) => [before, after, ...(wide ? [within] : [])].filter(fits).map((x) => [x, y] as const))
      .find(clear);
    if (place === undefined) continue;
    const [x, y] = place;
    taken.push([x, x + long]);
    ctx.lineWidth = 4;
    ctx.strokeStyle = ink.surface;
    ctx.strokeText(text, x, y);
    ctx.fillStyle = ink.text2;
    ctx.fillText(text, x, y);
  }
}

/** Before the first point, where nothing was recorded: since when there is something. */
export function since(f: Frame, at: number, text: string): void {
  const { ctx, ink } = f;
  ctx.font = ink.fontLabel;
  const x = xOf(f, at) - 8 - ctx.measureText(text).width;
  if (x < f.left + 8) return;
  ctx.textAlign = 'left';
  ctx.fillStyle = ink.text3;
  ctx.fillText(text, x, f.top + f.height - 8);
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
