// Every series the history holds. Series come and go slowly: asked for when a
// page needs it, and once a minute while it stays open.

import { SvelteMap } from 'svelte/reactivity';

import type { Fault, SeriesInfo } from '../bindings';
import { keyOf } from '../chart/feed.svelte';
import { call, toFault } from '../host';
import { live } from './live.svelte';

const EVERY_MS = 60_000;
const OFTEN_MS = 5000;

class Catalog {
  series = $state.raw<SeriesInfo[]>([]);
  loaded = $state(false);
  fault = $state.raw<Fault | null>(null);
  // Counters are listed with their totals; what a person wants is the rate between two lists.
  #totals = new Map<string, { at: number; total: number }>();
  #rates = new SvelteMap<string, number>();
  #users = 0;
  #timer: ReturnType<typeof setInterval> | undefined;
  #off: (() => void) | undefined;

  /** Keeps the list fresh until the answer is called; `often` while its values are read. */
  use(often = false): () => void {
    const quick = often ? setInterval(() => live.visible && void this.refresh(), OFTEN_MS) : undefined;
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
      clearInterval(quick);
      if (--this.#users > 0) return;
      clearInterval(this.#timer);
      this.#off?.();
    };
  }

  /** Newest value of a series as it is shown: counters as rates per second. */
  last(info: SeriesInfo): number | null {
    return info.kind === 'counter' ? (this.#rates.get(keyOf(info.key)) ?? null) : info.last;
  }

  async refresh(): Promise<void> {
    try {
      this.series = await call('series', {});
      for (const info of this.series) {
        if (info.kind !== 'counter' || info.last === null || info.last_ms === null) continue;
        const key = keyOf(info.key);
        const before = this.#totals.get(key);
        const seconds = before ? (info.last_ms - before.at) / 1000 : 0;
        if (before && seconds >= 1 && info.last >= before.total) {
          this.#rates.set(key, (info.last - before.total) / seconds);
        }
        if (!before || seconds >= 1) this.#totals.set(key, { at: info.last_ms, total: info.last });
      }
      this.loaded = true;
      this.fault = null;
    } catch (thrown) {
      this.fault = toFault(thrown);
    }
  }
}

export const catalog = new Catalog();
