// Traces as uPlot takes them: columns on one axis of moments, and how each is drawn.

import type uPlot from 'uplot';

import type { Span } from '../range';
import { join, type Mode, type Trace } from './columns';
import type { Ink } from './ink';

export interface PlotTrace {
  trace: Trace;
  /** Token of its colour, e.g. `--s1`. */
  color: string;
  mode?: Mode;
  /** Opacity of the area under it; 0 is none. */
  fill?: number;
  dash?: boolean;
}

/** Around the plot, for axes and the load line's value. */
export interface Room {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

export function dataOf(traces: readonly PlotTrace[], view: Span): uPlot.AlignedData {
  const joined = join(
    traces.map(({ trace, mode = 'mean' }) => {
      const { at, min, mean, max } = trace.columns;
      return { at, columns: mode === 'band' ? [mean, min, max] : mode === 'max' ? [max] : [mean] };
    }),
  );
  // uPlot sets no scale for an empty chart; two moments without values give it one.
  if (joined.at.length === 0) {
    const none = traces
      .flatMap(({ mode }) => (mode === 'band' ? [[], [], []] : [[]]))
      .map(() => [null, null]);
    return [[view.from, view.to], ...none];
  }
  return [joined.at, ...joined.values];
}

/** All but the data; `top` answers where the axis of values ends. */
export function optionsOf(
  traces: readonly PlotTrace[],
  { width, height }: { width: number; height: number },
  pad: Room,
  ink: Ink,
  top: () => number,
  hooks: uPlot.Hooks.Arrays,
): uPlot.Options {
  const series: uPlot.Series[] = [{}];
  const bands: uPlot.Band[] = [];
  const none = { show: false };
  for (const { color, mode = 'mean', fill = 0, dash = false } of traces) {
    const stroke = ink.of(color);
    series.push({
      stroke,
      width: 1.4,
      points: {
        show: true,
        filter: (plot, index) => alone(plot.data[index] ?? []),
        size: 3,
        width: 0,
        fill: stroke,
      },
      dash: dash ? [4, 3] : undefined,
      fill: fill > 0 ? withAlpha(stroke, fill) : undefined,
      spanGaps: false,
    });
    if (mode === 'band') {
      const edge: uPlot.Series = { stroke: 'transparent', width: 0, points: none, spanGaps: false };
      series.push(edge, { ...edge });
      bands.push({ series: [series.length - 1, series.length - 2], fill: withAlpha(stroke, 0.22) });
    }
  }
  return {
    width,
    height,
    ms: 1,
    pxAlign: 0,
    series,
    bands,
    padding: [pad.top, pad.right, pad.bottom, pad.left],
    scales: {
      x: { time: false, auto: false },
      y: { range: () => [0, top()] },
    },
    axes: [{ show: false }, { show: false }],
    cursor: { show: false },
    legend: { show: false },
    hooks,
  };
}

/** Places of values that no line leads to or from: without a point there, nobody would see them. */
export function alone(column: ArrayLike<number | null | undefined>): number[] {
  const found: number[] = [];
  let before: number | null = null;
  let candidate = -1;
  for (let i = 0; i < column.length; i++) {
    const value = column[i];
    if (value === undefined) continue;
    if (value === null) {
      if (candidate >= 0) found.push(candidate);
      candidate = -1;
    } else {
      candidate = before === null ? i : -1;
    }
    before = value;
  }
  if (candidate >= 0) found.push(candidate);
  return found;
}

/** A colour of the tokens (`#rrggbb`) at some opacity. */
function withAlpha(color: string, alpha: number): string {
  const hex = /^#([0-9a-f]{6})$/i.exec(color)?.[1];
  return hex
    ? `#${hex}${Math.round(alpha * 255)
        .toString(16)
        .padStart(2, '0')}`
    : color;
}
