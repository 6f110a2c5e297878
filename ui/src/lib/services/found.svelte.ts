// What the search for services knows besides its proposals. It changes slowly: it is asked for
// when the page opens, after what a person did, and now and then while somebody looks.

import type { Fault, ServicesFound } from '../bindings';
import { call, toFault } from '../host';
import { live } from '../state/live.svelte';
import { range } from '../state/range.svelte';

const EVERY_MS = 10_000;

class Found {
  view = $state.raw<ServicesFound | null>(null);
  fault = $state.raw<Fault | null>(null);
  #asking = false;

  use(): () => void {
    void this.refresh();
    const due = () => live.visible && range.pausedAt === null && void this.refresh();
    const timer = setInterval(due, EVERY_MS);
    // Whether it looks at all is a setting.
    const off = live.on((event) => event.event === 'config' && due());
    return () => {
      clearInterval(timer);
      off();
    };
  }

  async refresh(): Promise<void> {
    if (this.#asking) return;
    this.#asking = true;
    try {
      const view = await call('services.found', {});
      const keep = () => {
        this.view = view;
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

export const found = new Found();
