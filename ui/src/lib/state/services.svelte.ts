// The services and how they are. Read again when Plimsoll says that they changed: at once
// while a page shows them, every few seconds for the count in the rail. A window that
// nobody sees hears of no change, and asks when it is seen again.

import type { Service } from '../bindings';
import { call } from '../host';
import { live } from './live.svelte';
import { range } from './range.svelte';
import { Reading } from './reading.svelte';
import { lookOf } from '../services/words';

/**
 * Between two readings: for their page, for Overview, and for the rail. Overview shows much
 * besides, and a figure that is two seconds old says the same for less.
 */
const PACES = { often: 1000, glance: 2000, seldom: 5000 };
export type Pace = keyof typeof PACES;
/** Word of a change comes a little early or late. */
const SLACK_MS = 200;

export interface ServicesView {
  /** When they were read. */
  at_ms: number;
  services: Service[];
}

class Services extends Reading<ServicesView> {
  /** Those that a person should look at: a server that loads is well, and one that was stopped is meant to be. */
  unwell = $derived(
    (this.view?.services ?? []).filter((s) => ['degraded', 'down'].includes(lookOf(s))).length,
  );
  #users: Pace[] = [];
  #off: (() => void) | undefined;
  #later: ReturnType<typeof setTimeout> | undefined;
  #again = false;
  #asked = 0;

  /** Keeps them fresh until the answer is called. */
  use(pace: Pace = 'seldom'): () => void {
    this.#users = [...this.#users, pace];
    if (this.#users.length === 1) {
      const offs = [
        live.on((event) => {
          if (event.event === 'services') this.#due();
          else if (event.event === 'missed') this.#now();
        }),
        live.onSeen(() => this.#now()),
      ];
      // Where the stream is broken nobody says a change.
      const timer = setInterval(() => !live.connected && this.#due(), PACES.seldom);
      this.#off = () => {
        offs.forEach((off) => off());
        clearInterval(timer);
        clearTimeout(this.#later);
        this.#later = undefined;
      };
    }
    if (this.#users.length === 1 || pace !== 'seldom') void this.refresh();
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

export const services = new Services(async () => {
  const services = await call('services', {});
  return { at_ms: Date.now(), services };
});
