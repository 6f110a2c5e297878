// What passes the gateway, read again when Plimsoll says that it changed, while its page is open:
// at most once a second, and never for a window that nobody sees.

import type { Traffic } from '../bindings';
import { call } from '../host';
import { live } from './live.svelte';
import { range } from './range.svelte';
import { Reading } from './reading.svelte';

/** Between two readings. */
const PACE_MS = 1000;
/** Where nobody says a change: what counts the last minute grows old all the same. */
const SELDOM_MS = 10_000;
/** Word of a change comes a little early or late. */
const SLACK_MS = 200;

class TrafficReading extends Reading<Traffic> {
  #users = 0;
  #off: (() => void) | undefined;
  #later: ReturnType<typeof setTimeout> | undefined;
  #again = false;
  #asked = 0;

  /** Keeps it fresh until the answer is called. */
  use(): () => void {
    if (this.#users++ === 0) {
      const offs = [
        live.on((event) => {
          if (event.event === 'traffic') this.#due();
          else if (event.event === 'missed') this.#now();
        }),
        live.onSeen(() => this.#now()),
      ];
      const timer = setInterval(() => this.#due(), SELDOM_MS);
      this.#off = () => {
        offs.forEach((off) => off());
        clearInterval(timer);
        clearTimeout(this.#later);
        this.#later = undefined;
      };
    }
    void this.refresh();
    let used = true;
    return () => {
      if (used && --this.#users === 0) this.#off?.();
      used = false;
    };
  }

  /** Now, or when the pause since the last reading is over: the last change of several must not be lost. */
  #due() {
    const wait = PACE_MS - SLACK_MS - (Date.now() - this.#asked);
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
    if (this.#again && this.#users > 0) this.#due();
    this.#again = false;
  }
}

export const traffic = new TrafficReading(() => call('traffic', {}));
