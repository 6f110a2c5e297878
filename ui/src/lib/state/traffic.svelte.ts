// What passes the gateway, read again when Plimsoll says that it changed: each second while the
// page shows it, seldom for the status line. A window that nobody sees asks nothing.

import type { Traffic } from '../bindings';
import { call } from '../host';
import { live } from './live.svelte';
import { range } from './range.svelte';
import { Reading } from './reading.svelte';

/** Between two readings: for the page, and for the status line. */
const PACES = { often: 1000, seldom: 10_000 };
export type Pace = keyof typeof PACES;
/** Word of a change comes a little early or late. */
const SLACK_MS = 200;

class TrafficReading extends Reading<Traffic> {
  #users: Pace[] = [];
  #off: (() => void) | undefined;
  #later: ReturnType<typeof setTimeout> | undefined;
  #again = false;
  #asked = 0;

  /** Keeps it fresh until the answer is called. */
  use(pace: Pace = 'seldom'): () => void {
    this.#users = [...this.#users, pace];
    if (this.#users.length === 1) {
      const offs = [
        live.on((event) => {
          if (event.event === 'traffic') this.#due();
          else if (event.event === 'missed') this.#now();
        }),
        live.onSeen(() => this.#now()),
      ];
      // Nobody says a change while the stream is broken, and none where nothing passes: what
      // counts the last minute grows old all the same.
      const timer = setInterval(() => this.#due(), PACES.seldom);
      this.#off = () => {
        offs.forEach((off) => off());
        clearInterval(timer);
        clearTimeout(this.#later);
        this.#later = undefined;
      };
    }
    if (this.#users.length === 1 || pace === 'often') void this.refresh();
    let used = true;
    return () => {
      if (!used) return;
      used = false;
      const at = this.#users.indexOf(pace);
      this.#users = this.#users.filter((_, i) => i !== at);
      if (this.#users.length === 0) this.#off?.();
    };
  }

  /** Now, or when the pause since the last reading is over: the last change of several must not be lost. */
  #due() {
    const pause = Math.min(PACES.seldom, ...this.#users.map((pace) => PACES[pace]));
    const wait = pause - SLACK_MS - (Date.now() - this.#asked);
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
    if (this.#again && this.#users.length > 0) this.#due();
    this.#again = false;
  }
}

export const traffic = new TrafficReading(() => call('traffic', {}));
