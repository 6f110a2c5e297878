// The one time range that rules every chart, and whether it moves with the clock.

import { RANGES, type RangeId, type Span, longer, pan, shorter, spanOf, stepOf, zoom } from '../range';
import { live } from './live.svelte';
import { recall, remember } from './remember';

interface Kept {
  choice: RangeId;
}

class RangeState {
  /** The preset that is chosen, also while zoomed in. */
  choice = $state<RangeId>('1h');
  /** Set while a person looks at something else than the last minutes. */
  fixed = $state.raw<Span | null>(null);
  /** When the picture was stopped; `null` while it moves. */
  pausedAt = $state<number | null>(null);
  #back: Span[] = $state.raw([]);
  #now = $state(Date.now());

  live = $derived(this.fixed === null && this.pausedAt === null);
  zoomed = $derived(this.#back.length > 0);
  /** What the charts show. Moves by whole steps only, so that nothing is redrawn for less than a pixel. */
  view = $derived.by<Span>(() => {
    if (this.fixed) return this.fixed;
    const length = RANGES[this.choice].ms;
    const step = stepOf(length);
    const to = Math.ceil((this.pausedAt ?? this.#now) / step) * step;
    return { from: to - length, to };
  });
  /** Milliseconds between the picture and the present, while it stands still. */
  behind = $derived(this.live ? 0 : Math.max(0, this.#now - this.view.to));
  now = $derived(this.#now);

  start(): () => void {
    void recall<Kept>('window.range', { choice: '1h' }, isKept).then((kept) => (this.choice = kept.choice));
    const off = live.on((event) => {
      if (event.event === 'tick') this.#now = event.at_ms;
    });
    // Without ticks (recording stopped, connection broken) the clock goes on all the same.
    const timer = setInterval(() => {
      if (live.visible && Date.now() - this.#now > 2500) this.#now = Date.now();
    }, 1000);
    return () => {
      off();
      clearInterval(timer);
    };
  }

  choose(choice: RangeId): void {
    this.choice = choice;
    this.fixed = null;
    this.#back = [];
    remember('window.range', { choice } satisfies Kept);
  }

  longer(): void {
    this.choose(longer(this.choice));
  }

  shorter(): void {
    this.choose(shorter(this.choice));
  }

  /** A range that a person named by its ends. */
  custom(span: Span): void {
    this.#leave();
    this.fixed = spanOf(span.from, span.to, Date.now());
  }

  zoomTo(span: Span): void {
    this.#leave();
    this.fixed = spanOf(span.from, span.to, Date.now());
  }

  /** Nearer (factor below 1) or farther, about a moment or the middle. */
  zoomBy(factor: number, about?: number): void {
    this.#leave();
    this.fixed = zoom(this.view, factor, about ?? (this.view.from + this.view.to) / 2, Date.now());
  }

  panBy(ms: number): void {
    if (!this.fixed) this.#leave();
    this.fixed = pan(this.view, ms, Date.now());
  }

  /** One zoom back; the first one leads back to where it began. */
  back(): boolean {
    const before = this.#back.at(-1);
    if (!before) return false;
    this.#back = this.#back.slice(0, -1);
    this.fixed = this.#back.length === 0 && this.pausedAt === null ? null : before;
    return true;
  }

  pause(): void {
    if (this.live) this.pausedAt = this.#now;
  }

  /** Back to the present, in the preset that was chosen. */
  goLive(): void {
    this.pausedAt = null;
    this.fixed = null;
    this.#back = [];
  }

  toggle(): void {
    if (this.live) this.pause();
    else this.goLive();
  }

  #leave() {
    this.#back = [...this.#back.slice(-31), this.view];
  }
}

function isKept(value: unknown): value is Kept {
  return typeof value === 'object' && value !== null && 'choice' in value && String(value.choice) in RANGES;
}

export const range = new RangeState();
