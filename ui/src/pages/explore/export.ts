// What is on the screen, as a table and as a picture.

import type { Trace } from '../../lib/chart/columns';
import type { SeriesKey } from '../../lib/bindings';
import { cell, stampOf } from '../../lib/csv';
import type { Span } from '../../lib/range';

export interface Exported {
  key: SeriesKey;
  unit: string;
  trace: Trace;
}

/** At full precision, as short as it is exact; a gap is an empty cell. */
const number = (value: number | null | undefined) =>
  value === null || value === undefined ? '' : String(value);

/**
 * One row a point: UTC time, metric, subject, unit, min, mean, max. Long and not
 * wide, because series of different cadences share no rows.
 */
export function toCsv(list: readonly Exported[], view: Span): string {
  const lines = ['time,metric,subject,unit,min,mean,max'];
  for (const { key, unit, trace } of list) {
    const { at, min, mean, max } = trace.columns;
    const head = [key.metric, key.subject, unit].map(cell).join(',');
    for (let i = 0; i < at.length; i++) {
      const t = at[i] ?? 0;
      if (t < view.from || t >= view.to) continue;
      lines.push(
        `${new Date(t).toISOString()},${head},${number(min[i])},${number(mean[i])},${number(max[i])}`,
      );
    }
  }
  return lines.join('\r\n') + '\r\n';
}

/** `plimsoll-gpu.vram.used-20261121-1250.csv` */
export function fileName(keys: readonly SeriesKey[], view: Span, ending: string): string {
  const metrics = [...new Set(keys.map((k) => k.metric))];
  const what = metrics.length === 1 ? metrics[0] : `${metrics.length}-metrics`;
  return `plimsoll-${what}-${stampOf(view.to)}.${ending}`;
}

export interface Picture {
  title: string;
  canvas: HTMLCanvasElement;
  legend: { name: string; color: string }[];
}

/** The lanes under one another, with their heads and the times, as one PNG at the screen's sharpness. */
export async function toPng(
  lanes: readonly Picture[],
  caption: string,
  /** Times under the last lane; `x` counts from the canvas' left edge. */
  times: readonly { x: number; label: string }[],
  colors: { back: string; text: string; dim: string; font: string },
): Promise<Blob> {
  const first = lanes[0]?.canvas;
  if (!first) throw new Error('There is no chart to export.');
  const dpr = window.devicePixelRatio || 1;
  const head = 28;
  const pad = 16;
  const foot = 30;
  const width = Math.max(...lanes.map((l) => l.canvas.width / dpr)) + 2 * pad;
  const height = head + lanes.reduce((sum, l) => sum + head + l.canvas.height / dpr, 0) + foot;
  const sheet = document.createElement('canvas');
  sheet.width = Math.round(width * dpr);
  sheet.height = Math.round(height * dpr);
  const ctx = sheet.getContext('2d');
  if (!ctx) throw new Error('This window cannot draw pictures.');
  ctx.scale(dpr, dpr);
  ctx.fillStyle = colors.back;
  ctx.fillRect(0, 0, width, height);
  ctx.textBaseline = 'middle';
  ctx.font = `11px ${colors.font}`;
  ctx.fillStyle = colors.dim;
  ctx.fillText(caption, pad, head / 2 + 2);
  let y = head;
  for (const lane of lanes) {
    ctx.font = `600 13px ${colors.font}`;
    ctx.fillStyle = colors.text;
    ctx.fillText(lane.title, pad, y + head / 2);
    let x = pad + ctx.measureText(lane.title).width + 16;
    ctx.font = `11px ${colors.font}`;
    for (const { name, color } of lane.legend) {
      ctx.fillStyle = color;
      ctx.fillRect(x, y + head / 2 - 4, 8, 8);
      ctx.fillStyle = colors.dim;
      ctx.fillText(name, x + 13, y + head / 2);
      x += 13 + ctx.measureText(name).width + 14;
    }
    y += head;
    ctx.drawImage(lane.canvas, pad, y, lane.canvas.width / dpr, lane.canvas.height / dpr);
    y += lane.canvas.height / dpr;
  }
  ctx.font = `11px ${colors.font}`;
  ctx.fillStyle = colors.dim;
  ctx.textAlign = 'center';
  for (const { x, label } of times) ctx.fillText(label, pad + x, y + 10);
  return new Promise((resolve, reject) =>
    sheet.toBlob(
      (blob) => (blob ? resolve(blob) : reject(new Error('The picture could not be made.'))),
      'image/png',
    ),
  );
}
