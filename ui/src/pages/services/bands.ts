// "Up and down": from the series `service.up` and the marks of a service to bands
// over the range. `service.up` tells whether it served; that it served badly is told by
// its marks alone. What nobody looked at is a gap, and neither of both. Pure.

import type { Mark, Service, ServiceState } from '../../lib/bindings';
import type { Columns } from '../../lib/chart/columns';
import type { Span } from '../../lib/range';
import { lookOf } from '../../lib/services/words';

export type BandState = 'healthy' | 'starting' | 'degraded' | 'down' | 'stopped' | 'gap';

export interface Band extends Span {
  state: BandState;
}

/**
 * What a mark's sentence says of the state that begins with it. The sentences are those of
 * `words_of` in crates/services/src/state.rs, whose test holds them fast.
 */
export function stateTold(mark: Pick<Mark, 'kind' | 'title'>): ServiceState | null {
  if (mark.kind !== 'service') return null;
  if (/ is up again\b/.test(mark.title)) return 'healthy';
  const word = / is (healthy|degraded|down|starting)\b/.exec(mark.title)?.[1];
  return (word as ServiceState | undefined) ?? null;
}

/** Spans that only its marks tell: it served badly, or it did not serve yet. */
export interface Told {
  degraded: readonly Span[];
  starting: readonly Span[];
}

export function toldSpans(marks: readonly Mark[], service: Service, view: Span): Told {
  const told = marks
    .filter((m) => m.subject === service.id && m.at_ms < view.to)
    .map((m) => ({ at: m.at_ms, title: m.title, state: stateTold(m) }))
    .filter((m) => m.state !== null)
    .sort((a, b) => a.at - b.at);
  const spans = (of: ServiceState, before: boolean): Span[] => {
    const spans: Span[] = [];
    let since = before ? view.from : null;
    for (const { at, state } of told) {
      if (state === of) since ??= at;
      else if (since !== null) {
        spans.push({ from: since, to: at });
        since = null;
      }
    }
    if (service.state === of && service.since_ms < view.to) {
      since ??= Math.max(view.from, service.since_ms);
    }
    if (since !== null) spans.push({ from: since, to: view.to });
    return spans;
  };
  // From being degraded or from starting comes such a mark, and from nothing else.
  const first = told[0];
  const wasIll = first?.state === 'healthy' && / is healthy\b/.test(first.title);
  const loaded = / is down: has been loading for /.test(first?.title ?? '');
  return { degraded: spans('degraded', wasIll), starting: spans('starting', wasIll || loaded) };
}

/** The span in which nobody was to run it: that it served nobody is no fault. */
export function stoppedSpan(service: Pick<Service, 'state' | 'run'>, view: Span, now: number): Span | null {
  const { run } = service;
  const look = lookOf(service);
  if (!run || (look !== 'stopped' && look !== 'waiting') || run.since_ms >= view.to) return null;
  return { from: Math.max(view.from, run.since_ms), to: Math.min(view.to, now) };
}

/** The bands with that span in the place of what they say of it. */
export function withStopped(bands: readonly Band[], stopped: Span | null): Band[] {
  if (!stopped || stopped.to <= stopped.from) return [...bands];
  const before = bands
    .filter((b) => b.from < stopped.from)
    .map((b) => ({ ...b, to: Math.min(b.to, stopped.from) }));
  return [...before, { ...stopped, state: 'stopped' }];
}

/** Bands in order of time, without overlap; neighbours of one state are one. */
export function bandsOf(
  columns: Columns,
  /** Time that one point stands for. */
  step: number,
  gaps: readonly Span[],
  told: Told,
  view: Span,
): Band[] {
  const bands: Band[] = [];
  const push = (from: number, to: number, state: BandState) => {
    const last = bands.at(-1);
    const a = Math.max(from, view.from, last?.to ?? -Infinity);
    const b = Math.min(to, view.to);
    if (b <= a) return;
    if (last && last.state === state && a <= last.to) last.to = b;
    else bands.push({ from: a, to: b, state });
  };
  const { at, min } = columns;
  const waiting = [...gaps].sort((a, b) => a.from - b.from);
  for (let i = 0; i < at.length; i++) {
    const from = at[i] ?? 0;
    if (min[i] === null || min[i] === undefined) continue;
    while (waiting[0] && waiting[0].to <= from) {
      const gap = waiting.shift()!;
      push(gap.from, gap.to, 'gap');
    }
    // A point holds until the next one, unless a gap begins before.
    const to = Math.min(
      Math.max(at[i + 1] ?? 0, from + step),
      Math.max(waiting[0]?.from ?? Infinity, from + 1),
    );
    if (to < view.from || from > view.to) continue;
    // Anything of it that was down is shown: a minute within a day must not vanish.
    if ((min[i] ?? 1) < 1) split(from, to, 'down', told.starting, 'starting', push);
    else split(from, to, 'healthy', told.degraded, 'degraded', push);
  }
  for (const gap of waiting) push(gap.from, gap.to, 'gap');
  return bands;
}

function split(
  from: number,
  to: number,
  plain: BandState,
  spans: readonly Span[],
  within: BandState,
  push: (from: number, to: number, state: BandState) => void,
) {
  let at = from;
  for (const span of spans) {
    if (span.to <= at || span.from >= to) continue;
    if (span.from > at) push(at, span.from, plain);
    push(Math.max(at, span.from), Math.min(to, span.to), within);
    at = Math.min(to, span.to);
  }
  push(at, to, plain);
}

/** For a screen reader: what of the range it was, in words. */
export function bandWords(bands: readonly Band[]): string {
  const total = bands.reduce((sum, b) => sum + (b.to - b.from), 0);
  if (total === 0) return 'no data';
  const times = (state: BandState) => bands.filter((b) => b.state === state).length;
  const parts = (['starting', 'degraded', 'down'] as const)
    .map((state) => [state, times(state)] as const)
    .filter(([, n]) => n > 0)
    .map(([state, n]) => `${state} ${n === 1 ? 'once' : `${n} times`}`);
  if (times('stopped') > 0) parts.push('stopped now');
  if (times('gap') > 0) parts.push('with gaps');
  if (parts.length > 0) return parts.join(', ');
  return 'healthy throughout';
}
