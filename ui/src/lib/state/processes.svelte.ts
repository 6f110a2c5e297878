// The process table, read again whenever Plimsoll has read it, and only while a page shows it.

import type { ProcessTable } from '../bindings';
import { call } from '../host';
import { live } from './live.svelte';
import { range } from './range.svelte';
import { Reading } from './reading.svelte';

class Processes extends Reading<ProcessTable> {
  #users = 0;
  #off: (() => void) | undefined;

  use(): () => void {
    if (this.#users++ === 0) {
      void this.refresh();
      this.#off = live.on((event) => {
        if ((event.event === 'processes' || event.event === 'missed') && range.pausedAt === null)
          void this.refresh();
      });
    }
    return () => {
      if (--this.#users === 0) this.#off?.();
    };
  }
}

export const processes = new Processes(() => call('processes', {}));
