// The data behind a set of charts: asked for once per range and width, then
// grown by the live stream. `version` changes when charts must be drawn anew.

import type { Fault, Mark, SeriesInfo, SeriesKey } from '../bindings';
import { call, toFault } from '../host';
import { withMark } from '../marks';
import { RANGES, type RangeId, type Span } from '../range';
import { live } from '../state/live.svelte';
import { range } from '../state/range.svelte';
import { Trace } from './columns';

export const keyOf = (key: SeriesKey): string =>
  key.subject ? `${key.metric}\u0000${key.subject}` : key.metric;

export interface Latest {
  at: number;
  value: number;
}

/**
 * How many series one question holds: few enough that a slow disk shows them one after
 * another, and that giving up stops soon.
 */
const PER_QUERY = 4;

export class Feed {
  version = $state(0);
  loading = $state(false);
  /** True when loading takes long enough to be told. */
  slow = $state(false);
  /** How many series have been answered, and of how many; while it is slow. */
  progress = $state.raw({ done: 0, total: 0 });
  fault = $state.raw<Fault | null>(null);
  /** Newest values by series; changes once a tick. */
  latest = $state.raw<ReadonlyMap<string, Latest>>(new Map());

  #traces = new Map<string, Trace>();
  #cadences = new Map<string, number>();
  #occasional = new Set<string>();
  #keys: SeriesKey[] = [];
  #width = 0;
  #shift = 0;
  #asked = '';
  #run = 0;
  #later: ReturnType<typeof setTimeout> | undefined;
  #values = new Map<string, Latest>();
  /** A length of its own that does not follow the chosen range. */
  readonly #own: RangeId | null;

  constructor(own: RangeId | null = null) {
    this.#own = own;
  }

  #view(): Span {
    return this.#own ? { from: range.now - RANGES[this.#own].ms, to: range.now } : range.view;
  }

  get #moves(): boolean {
    return this.#own !== null || range.fixed === null;
  }

  /** Trace of a series; an empty one until it is loaded. */
  trace(key: SeriesKey): Trace {
    void this.version; // whoever holds a trace takes the new one after a load
    const id = keyOf(key);
    let trace = this.#traces.get(id);
    if (!trace) {
      trace = Trace.empty(1000, this.#cadences.get(id) ?? 1000, this.#occasional.has(id));
      this.#traces.set(id, trace);
    }
    return trace;
  }

  value(key: SeriesKey): number | null {
    return this.latest.get(keyOf(key))?.value ?? null;
  }

  /** Cadences and last known values, so that something stands there before the first tick. */
  know(list: readonly SeriesInfo[]): void {
    for (const { key, cadence_ms, last, last_ms, kind } of list) {
      this.#cadences.set(keyOf(key), cadence_ms);
      // Of a second in which nothing happened there is nothing to spread.
      if (kind === 'histogram') this.#occasional.add(keyOf(key));
      // A counter's last value is a total; only its rate is shown.
      if (last !== null && last_ms !== null && kind === 'gauge' && !this.#values.has(keyOf(key))) {
        this.#values.set(keyOf(key), { at: last_ms, value: last });
      }
    }
    this.latest = new Map(this.#values);
  }

  cadence(key: SeriesKey): number {
    return this.#cadences.get(keyOf(key)) ?? 1000;
  }

  /** Follows the stream; answers how to stop. `prefixes` say which metrics' values to hear. */
  start(prefixes: readonly string[]): () => void {
    const release = live.want(prefixes);
    const off = live.on((event) => {
      if (event.event === 'tick') this.#tick(event.at_ms, event.values);
      else if (event.event === 'missed') this.#again();
    });
    return () => {
      release();
      off();
      clearTimeout(this.#later);
      this.#run += 1;
    };
  }

  #tick(at: number, values: readonly { metric: string; subject: string; value: number }[]) {
    if (values.length === 0) return;
    for (const { metric, subject, value } of values) {
      const id = subject ? `${metric}\u0000${subject}` : metric;
      this.#values.set(id, { at, value });
      // Compared and zoomed pictures stand still; they do not grow.
      if (this.#shift === 0 && this.#moves) this.#traces.get(id)?.append(at, value);
    }
    // A paused picture stands still, its numbers too; what is measured meanwhile is kept.
    if (range.pausedAt !== null) return;
    this.latest = new Map(this.#values);
    const { from } = this.#view();
    for (const trace of this.#traces.values()) trace.trim(from);
  }

  #again() {
    this.#asked = '';
    this.#load(this.#view());
  }

  /** Says what is shown; asks the history only where that is something new. */
  show(keys: readonly SeriesKey[], width: number, shift = 0): void {
    this.#keys = [...keys];
    this.#width = width;
    this.#shift = shift;
    this.#load(this.#view());
  }

  #load(view: Span) {
    if (this.#width < 16 || this.#keys.length === 0) {
      this.loading = false;
      return;
    }
    // A moving picture is asked for once per length; a standing one by its ends.
    const width = Math.min(4096, Math.ceil(this.#width / 128) * 128);
    const moving = this.#moves;
    let where = moving ? (this.#own ?? range.choice) : `${view.from}-${view.to}`;
    let span = view;
    if (moving && this.#shift > 0) {
      // What is compared with is over: some of it is asked for ahead, and again when that is used up.
      const ahead = (view.to - view.from) / 8;
      const to = Math.ceil(view.to / ahead) * ahead;
      span = { from: view.from, to };
      where += `@${to}`;
    }
    const asked = `${where}|${width}|${this.#shift}|${this.#keys.map(keyOf).join(',')}`;
    if (asked === this.#asked) return;
    this.#asked = asked;
    clearTimeout(this.#later);
    if (moving) void this.#ask(span, width);
    // While a person drags, the picture moves with what is there; the rest comes when the hand rests.
    else this.#later = setTimeout(() => void this.#ask(span, width), 80);
  }

  async #ask(view: Span, width: number) {
    const run = ++this.#run;
    const keys = this.#keys;
    const shift = this.#shift;
    this.loading = true;
    this.progress = { done: 0, total: keys.length };
    const fresh = new Map<string, Trace>();
    // What came within that time is drawn at once and together; after it, as it comes.
    const slow = setTimeout(() => {
      if (run !== this.#run) return;
      this.slow = true;
      this.#take(fresh);
    }, 300);
    try {
      for (let at = 0; at < keys.length; at += PER_QUERY) {
        const answer = await call('history.query', {
          series: keys.slice(at, at + PER_QUERY),
          from_ms: Math.floor(view.from - shift),
          to_ms: Math.ceil(view.to - shift),
          width_px: width,
        });
        if (run !== this.#run) return;
        for (const series of answer.series) {
          const id = keyOf(series.key);
          const occasional = this.#occasional.has(id);
          fresh.set(id, Trace.from(series, this.cadence(series.key), range.now, shift, occasional));
        }
        this.progress = { done: Math.min(at + PER_QUERY, keys.length), total: keys.length };
        if (this.slow) this.#take(fresh);
      }
      this.#take(fresh, true);
      this.fault = null;
    } catch (thrown) {
      if (run === this.#run) {
        this.fault = toFault(thrown);
        this.#asked = '';
      }
    } finally {
      clearTimeout(slow);
      if (run === this.#run) {
        this.loading = false;
        this.slow = false;
      }
    }
  }

  /** Draws what was answered; `all` forgets what was drawn before. */
  #take(fresh: ReadonlyMap<string, Trace>, all = false) {
    if (fresh.size === 0 && !all) return;
    // Ticks that came while the history answered are newer than its answer.
    for (const [id, trace] of fresh) {
      const newest = this.#values.get(id);
      if (newest && this.#shift === 0 && this.#moves) trace.append(newest.at, newest.value);
    }
    this.#traces = new Map([...(all ? [] : this.#traces), ...fresh]);
    this.version += 1;
  }

  /** Asks once more after a fault. */
  retry(): void {
    this.#again();
  }

  /** Stops waiting for an answer that takes too long; what is drawn stays. */
  cancel(): void {
    this.#run += 1;
    this.loading = false;
    this.slow = false;
  }
}

/** Marks of what is shown, kept fresh by the stream. */
export class Marks {
  list = $state.raw<Mark[]>([]);
  #asked = '';
  #run = 0;

  start(): () => void {
    return live.on((event) => {
      if (event.event === 'mark') {
        this.list = withMark(this.list, event.mark);
      } else if (event.event === 'missed') this.#asked = '';
    });
  }

  /** Asks for the marks of a span, if it is another one than before. */
  show(view: Span, moving: boolean): void {
    const asked = moving ? String(view.to - view.from) : `${view.from}-${view.to}`;
    if (asked === this.#asked) return;
    this.#asked = asked;
    const run = ++this.#run;
    void call('marks', { from_ms: Math.floor(view.from), to_ms: Math.ceil(view.to) + 1 })
      .then((list) => run === this.#run && (this.list = list))
      .catch(() => (this.#asked = ''));
  }
}
