// What is asked for again and again: the newest answer stays until the next one is there.

import type { Fault } from '../bindings';
import { toFault } from '../host';
import { live } from './live.svelte';

export class Reading<T> {
  view = $state.raw<T | null>(null);
  /** Why the last answer did not come. */
  fault = $state.raw<Fault | null>(null);
  protected asking = false;
  readonly #ask: () => Promise<T>;

  constructor(ask: () => Promise<T>) {
    this.#ask = ask;
  }

  async refresh(): Promise<void> {
    if (this.asking) return;
    this.asking = true;
    try {
      const view = await this.#ask();
      const keep = () => {
        this.view = view;
        this.fault = null;
      };
      if (this.view) live.withTick(keep);
      else keep();
    } catch (thrown) {
      this.fault = toFault(thrown);
    } finally {
      this.asking = false;
    }
  }
}
