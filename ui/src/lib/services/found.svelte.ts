// What the search for services knows besides its proposals. It changes slowly: it is asked for
// when the page opens, after what a person did, and now and then while somebody looks.

import type { ServicesFound } from '../bindings';
import { call } from '../host';
import { live } from '../state/live.svelte';
import { range } from '../state/range.svelte';
import { Reading } from '../state/reading.svelte';

const EVERY_MS = 10_000;

class Found extends Reading<ServicesFound> {
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
}

export const found = new Found(() => call('services.found', {}));
