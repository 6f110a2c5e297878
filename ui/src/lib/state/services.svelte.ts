// The services and how they are. Read again with the ticks while their page is
// open, and every few seconds for the count in the rail.

import type { Fault, Service } from '../bindings';
import { call, toFault } from '../host';
import { live } from './live.svelte';
import { range } from './range.svelte';

/** Between two readings: for the page, and for the rail. */
const OFTEN_MS = 1000;
const SELDOM_MS = 5000;
/** Ticks come a little early or late. */
const SLACK_MS = 200;

export interface ServicesView {
  /** When they were read. */
  at_ms: number;
  services: Service[];
}

class Services {
  view = $state.raw<ServicesView | null>(null);
  fault = $state.raw<Fault | null>(null);
  /** Those that a person should look at: a server that loads is well. */
  unwell = $derived(
    (this.view?.services ?? []).filter((s) => s.state === 'degraded' || s.state === 'down').length,
  );
  #users = 0;
  #often = 0;
  #off: (() => void) | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;
  #asking = false;
  #asked = 0;

  /** Keeps them fresh until the answer is called; `often` while they are looked at. */
  use(often = false): () => void {
    if (often) this.#often += 1;
    if (this.#users++ === 0) {
      this.#off = live.on((event) => {
        if (event.event === 'tick' || event.event === 'services') this.#due();
        else if (event.event === 'missed') void this.refresh();
      });
      // Without ticks (recording stopped, connection broken) they are read all the same.
      this.#timer = setInterval(() => live.visible && this.#due(), SELDOM_MS);
    }
    if (this.#users === 1 || often) void this.refresh();
    return () => {
      if (often) this.#often -= 1;
      if (--this.#users > 0) return;
      this.#off?.();
      clearInterval(this.#timer);
    };
  }

  #due() {
    if (range.pausedAt !== null) return;
    const pause = this.#often > 0 ? OFTEN_MS : SELDOM_MS;
    if (Date.now() - this.#asked >= pause - SLACK_MS) void this.refresh();
  }

  async refresh(): Promise<void> {
    if (this.#asking) return;
    this.#asking = true;
    this.#asked = Date.now();
    try {
      const list = await call('services', {});
      const keep = () => {
        this.view = { at_ms: Date.now(), services: list };
        this.fault = null;
      };
      if (this.view) live.withTick(keep);
      else keep();
    } catch (thrown) {
      this.fault = toFault(thrown);
    } finally {
      this.#asking = false;
    }
  }
}

export const services = new Services();
