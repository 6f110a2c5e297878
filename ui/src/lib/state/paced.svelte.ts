// What is read again when Plimsoll says that it changed, for as long as something shows it: no
// more often than it is wanted, never for a window that nobody sees, and never while time stands.

import type { Live } from '../bindings';
import { live } from './live.svelte';
import { range } from './range.svelte';
import { Reading } from './reading.svelte';

/** Word of a change comes a little early or late. */
const SLACK_MS = 200;

/** When it is read. */
export interface When {
  /** The word of a change. */
  event: Live['event'];
  /** Without a word it is read after this time, where `unasked` says so. */
  seldom_ms: number;
  unasked?: () => boolean;
}

export class PacedReading<T> extends Reading<T> {
  readonly #when: When;
  /** Of each who shows it, the least time between two readings. */
  #paces: number[] = [];
  #off: (() => void) | undefined;
  #later: ReturnType<typeof setTimeout> | undefined;
  #again = false;
  #asked = 0;

  constructor(ask: () => Promise<T>, when: When) {
    super(ask);
    this.#when = when;
  }

  /** Keeps it fresh until the answer is called; `now`: also where others keep it fresh already. */
  protected keep(pace_ms: number, now: boolean): () => void {
    this.#paces = [...this.#paces, pace_ms];
    const first = this.#paces.length === 1;
    if (first) this.#listen();
    if (first || now) void this.refresh();
    let used = true;
    return () => {
      if (!used) return;
      used = false;
      const at = this.#paces.indexOf(pace_ms);
      this.#paces = this.#paces.filter((_, i) => i !== at);
      if (this.#paces.length === 0) this.#off?.();
    };
  }

  #listen() {
    const { event, seldom_ms, unasked = () => true } = this.#when;
    const offs = [
      live.on((said) => {
        if (said.event === event) this.#due();
        else if (said.event === 'missed') this.#now();
      }),
      live.onSeen(() => this.#now()),
    ];
    const timer = setInterval(() => unasked() && this.#due(), seldom_ms);
    this.#off = () => {
      offs.forEach((off) => off());
      clearInterval(timer);
      clearTimeout(this.#later);
      this.#later = undefined;
    };
  }

  /** Now, or when the pause since the last reading is over: the last change of several must not be lost. */
  #due() {
    const wait = Math.min(...this.#paces) - SLACK_MS - (Date.now() - this.#asked);
    if (wait <= 0) this.#now();
    else
      this.#later ??= setTimeout(() => {
        this.#later = undefined;
        this.#now();
      }, wait);
  }

  #now() {
    if (live.visible && range.pausedAt === null) void this.refresh();
  }

  override async refresh(): Promise<void> {
    // What changes while it is being answered may not be in the answer.
    this.#again = this.asking;
    if (this.asking) return;
    this.#asked = Date.now();
    clearTimeout(this.#later);
    this.#later = undefined;
    await super.refresh();
    if (this.#again && this.#paces.length > 0) this.#due();
    this.#again = false;
  }
}
