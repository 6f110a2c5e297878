// Earlier revisions, newest first: the list and its count, and the last change.

import type { Fault, Revision } from '../../lib/bindings';
import { call, toFault } from '../../lib/host';
import { live } from '../../lib/state/live.svelte';

class Past {
  list = $state.raw<Revision[] | null>(null);
  fault = $state.raw<Fault | null>(null);

  /** Loads them and follows what is added; answers how to stop. */
  start(): () => void {
    void this.load();
    return live.on((event) => {
      if (event.event === 'config' || event.event === 'missed') void this.load();
    });
  }

  async load(): Promise<void> {
    try {
      this.list = (await call('config.revisions', {})).sort((a, b) => b.number - a.number);
      this.fault = null;
    } catch (thrown) {
      this.fault = toFault(thrown);
    }
  }
}

export const past = new Past();
