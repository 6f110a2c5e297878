// The time of one request as parts of a line, and the one scale for all lines. Pure.

import type { LiveRequest, RequestRow } from '../../lib/bindings';

export type PartKind = 'wait' | 'overhead' | 'prefill' | 'decode';

export interface Part {
  kind: PartKind;
  /** Milliseconds since it came. */
  from: number;
  to: number;
}

export interface Line {
  /** In order, without holes; none is shorter than nothing. */
  parts: Part[];
  total: number;
  /** It goes on. */
  open: boolean;
}

interface Times {
  wait: number;
  overhead: number;
  /** Since it came; `null` before the first token. */
  first: number | null;
  total: number;
  open: boolean;
}

function lineOf({ wait, overhead, first, total, open }: Times): Line {
  const parts: Part[] = [];
  let at = 0;
  const add = (kind: PartKind, to: number) => {
    const end = Math.min(Math.max(to, at), total);
    if (end > at || kind === 'overhead') parts.push({ kind, from: at, to: end });
    at = end;
  };
  add('wait', wait);
  add('overhead', wait + overhead);
  add('prefill', first ?? total);
  add('decode', total);
  return { parts, total, open };
}

/** Of one that ended. */
export function lineOfRow(row: RequestRow): Line {
  return lineOf({
    wait: row.wait_us / 1000,
    overhead: row.overhead_us / 1000,
    first: row.ttft_us === null ? null : row.ttft_us / 1000,
    total: row.total_us / 1000,
    open: false,
  });
}

/** Of one under way; what waits is all wait. */
export function lineOfLive(request: LiveRequest, now: number): Line {
  const total = Math.max(0, now - request.at_ms);
  const queued = request.phase === 'queued';
  return lineOf({
    wait: queued ? Math.max(0, total - request.overhead_us / 1000) : request.wait_us / 1000,
    overhead: request.overhead_us / 1000,
    first: request.ttft_us === null ? null : request.ttft_us / 1000,
    total,
    open: true,
  });
}

/** Ends of a scale, in milliseconds; each has four equal steps that read well. */
const ENDS = [
  20, 40, 80, 200, 400, 800, 2000, 4000, 8000, 20_000, 40_000, 80_000, 120_000, 240_000, 480_000, 1_200_000,
  2_400_000, 4_800_000, 14_400_000,
];

/**
 * Where the scale ends: so that nine of ten lines lie within it, and longer ones are cut at its
 * edge. A scale that still fits is kept: lines that change their length each second say nothing.
 */
export function scaleEnd(totals: readonly number[], before: number | null): number {
  const sorted = totals.filter((t) => t > 0).sort((a, b) => a - b);
  const most = sorted[Math.ceil(sorted.length * 0.9) - 1];
  if (most === undefined) return before ?? 8000;
  const fit = ENDS.find((end) => most <= end) ?? ENDS.at(-1)!;
  return before !== null && most <= before && fit >= before / 5 ? before : fit;
}

/** The scale's ticks with their words: `0`, `2`, `4`, `6`, `8 s`. */
export function ticksOf(end: number): { at: number; label: string }[] {
  const [factor, unit] = end >= 240_000 ? [60_000, 'min'] : end >= 2000 ? [1000, 's'] : [1, 'ms'];
  return [0, 1, 2, 3, 4].map((i) => {
    const value = Number(((end * i) / 4 / factor).toFixed(2));
    return { at: i / 4, label: i === 4 ? `${value} ${unit}` : String(value) };
  });
}

/** Seconds as the list writes them: 0.003, 0.03, 6.92, 12.4, 312. */
export function seconds(ms: number): string {
  const s = ms / 1000;
  if (s > 0 && s < 0.00995) return s.toFixed(3);
  return s < 9.995 ? s.toFixed(2) : s < 99.95 ? s.toFixed(1) : s.toFixed(0);
}

/** Tokens a second while it decoded; `null` where there is nothing to divide. */
export function speedOf(tokens: number | null, first: number | null, total: number): number | null {
  // The first token came with the prefill.
  if (tokens === null || first === null || tokens < 2 || total - first < 50) return null;
  return ((tokens - 1) * 1000) / (total - first);
}

/** The same line for who cannot see it: `wait 1.10 s, prefill 0.62 s, decode 5.20 s`. */
export function lineAloud(line: Line): string {
  const parts = line.parts.filter((p) => p.kind !== 'overhead' && p.to - p.from >= 5);
  const said = parts.map((p) => `${p.kind} ${seconds(p.to - p.from)} s`).join(', ');
  return line.open && said ? `${said} so far` : said;
}
