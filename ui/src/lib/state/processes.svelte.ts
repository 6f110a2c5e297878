// The process table, read again whenever Plimsoll has read it, and only while a page shows it.

import type { Fault, ProcessTable } from '../bindings';
import { call, toFault } from '../host';
import { live } from './live.svelte';
import { range } from './range.svelte';

class Processes {
  table = $state.raw<ProcessTable | null>(null);
  fault = $state.raw<Fault | null>(null);
  #users = 0;
  #off: (() => void) | undefined;
  #asking = false;

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

  async refresh(): Promise<void> {
    if (this.#asking) return;
    this.#asking = true;
    try {
      const table = await call('processes', {});
      const keep = () => {
        this.table = table;
        this.fault = null;
      };
      if (this.table) live.withTick(keep);
      else keep();
    } catch (thrown) {
      this.fault = toFault(thrown);
    } finally {
      this.#asking = false;
    }
  }
}

export const processes = new Processes();
