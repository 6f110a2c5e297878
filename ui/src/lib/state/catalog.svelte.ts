// Every series the history holds. Series come and go slowly: asked for when a
// page needs it, and once a minute while it stays open.

import type { Fault, SeriesInfo } from '../bindings';
import { call, toFault } from '../host';
import { live } from './live.svelte';

const EVERY_MS = 60_000;

class Catalog {
  series = $state.raw<SeriesInfo[]>([]);
  loaded = $state(false);
  fault = $state.raw<Fault | null>(null);
  #users = 0;
  #timer: ReturnType<typeof setInterval> | undefined;
  #off: (() => void) | undefined;

  /** Keeps the list fresh until the answer is called. */
  use(): () => void {
    if (this.#users++ === 0) {
      void this.refresh();
      this.#timer = setInterval(() => live.visible && void this.refresh(), EVERY_MS);
      this.#off = live.on((event) => {
        // A source that came back brings series with it; so does the first tick after an empty start.
        if (event.event === 'sources' || event.event === 'missed') void this.refresh();
        else if (event.event === 'tick' && this.loaded && this.series.length === 0) void this.refresh();
      });
    }
    return () => {
      if (--this.#users > 0) return;
      clearInterval(this.#timer);
      this.#off?.();
    };
  }

  async refresh(): Promise<void> {
    try {
      this.series = await call('series', {});
      this.loaded = true;
      this.fault = null;
    } catch (thrown) {
      this.fault = toFault(thrown);
    }
  }
}

export const catalog = new Catalog();
