// One subscription for the whole window: pages say which metrics they show, and
// the union is asked for. A hidden window asks for nothing at all.

import type { Live } from '../bindings';
import { host } from '../host';

type Listener = (live: Live) => void;

/** Between two attempts to reach Plimsoll again, in milliseconds. */
const RETRY_MS = [1000, 2000, 5000, 10_000];

/** Ticks may be ten seconds apart; nobody waits that long for an answer. */
const TICK_PATIENCE_MS = 1500;

class LiveHub {
  /** False while the stream is broken; values on the screen are then stale. */
  connected = $state(true);
  /** False while nobody can see the window. */
  visible = $state(true);
  /** Time of the newest tick, 0 before the first. */
  lastTick = $state(0);

  #heardAt = 0;
  #waiting: (() => void)[] = [];
  #patience: ReturnType<typeof setTimeout> | undefined;
  #wants = new Map<symbol, readonly string[]>();
  #listeners = new Set<Listener>();
  #onSeen = new Set<() => void>();
  #close: (() => void) | null = null;
  #asked: string | null = null;
  #scheduled = false;
  #started = false;
  #failures = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;

  /** Begins to listen; answers how to stop. */
  start(): () => void {
    this.#started = true;
    const seen = () => {
      const before = this.visible;
      this.visible = document.visibilityState !== 'hidden';
      this.#schedule();
      if (this.visible && !before) for (const listener of [...this.#onSeen]) listener();
    };
    document.addEventListener('visibilitychange', seen);
    seen();
    return () => {
      document.removeEventListener('visibilitychange', seen);
      this.#started = false;
      this.#drop();
    };
  }

  /** Asks for metrics by the beginnings of their names, until the answer is called. */
  want(metrics: readonly string[]): () => void {
    const id = Symbol();
    this.#wants.set(id, metrics);
    this.#schedule();
    return () => {
      this.#wants.delete(id);
      this.#schedule();
    };
  }

  /** Hears every event of the stream. */
  on(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Hears that the window is seen again: what changed meanwhile was told to nobody. */
  onSeen(listener: () => void): () => void {
    this.#onSeen.add(listener);
    return () => this.#onSeen.delete(listener);
  }

  /**
   * Does something together with the next tick: a screen that changes once a
   * second is painted once a second, and painting is what a window costs. Without
   * ticks it is done at once.
   */
  withTick(work: () => void): void {
    if (this.#heardAt === 0 || Date.now() - this.#heardAt > TICK_PATIENCE_MS) {
      work();
      return;
    }
    this.#waiting.push(work);
    this.#patience ??= setTimeout(() => this.#settle(), TICK_PATIENCE_MS);
  }

  #settle() {
    clearTimeout(this.#patience);
    this.#patience = undefined;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const work of waiting) work();
  }

  /** What is asked for at present, sorted and without repetition. */
  get wanted(): string[] {
    return unionOf([...this.#wants.values()]);
  }

  // Several pages change their wishes in one turn: ask once, after it.
  #schedule() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#update();
    });
  }

  #update() {
    if (!this.#started || !this.visible) {
      this.#drop();
      return;
    }
    const wanted = this.wanted;
    const asked = wanted.join(',');
    if (asked === this.#asked) return;
    const before = this.#close;
    this.#asked = asked;
    this.#close = host().subscribe(wanted, {
      event: (live) => this.#hear(live),
      connected: (yes) => this.#link(yes),
    });
    before?.();
  }

  #hear(live: Live) {
    if (live.event === 'tick') {
      this.lastTick = Math.max(this.lastTick, live.at_ms);
      this.#heardAt = Date.now();
      this.#settle();
    }
    if (live.event === 'stopping') this.#link(false);
    else if (!this.connected) this.#link(true);
    for (const listener of [...this.#listeners]) listener(live);
  }

  #link(yes: boolean) {
    this.connected = yes;
    clearTimeout(this.#retry);
    if (yes) {
      this.#failures = 0;
      return;
    }
    if (host().kind === 'browser') return; // an EventSource comes back by itself
    const wait = RETRY_MS[Math.min(this.#failures++, RETRY_MS.length - 1)];
    this.#retry = setTimeout(() => {
      this.#asked = null;
      this.#update();
    }, wait);
  }

  #drop() {
    this.#settle();
    clearTimeout(this.#retry);
    this.#asked = null;
    this.#close?.();
    this.#close = null;
  }
}

/** Beginnings of names, without those that another one covers; at most 64. */
export function unionOf(wants: readonly (readonly string[])[]): string[] {
  const all = [...new Set(wants.flat())].sort();
  return all.filter((name, at) => !all.some((other, j) => j !== at && name.startsWith(other))).slice(0, 64);
}

export const live = new LiveHub();
