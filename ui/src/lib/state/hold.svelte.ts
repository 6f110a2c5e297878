// The GPU, held free for somebody else: the hold that is on, or the one that ended last.

import type { Fault, Hold, HoldFate } from '../bindings';
import { call, toFault } from '../host';
import { losses } from '../hold/words';
import { live } from './live.svelte';
import { recall, remember } from './remember';
import { toasts } from './toasts.svelte';

/** `from_ms` of the hold whose troubles a person has seen. */
const SEEN = 'hold.dismissed';

class Holding {
  hold = $state.raw<Hold | null>(null);
  /** Why the last thing asked was not done. */
  fault = $state.raw<Fault | null>(null);
  /** A command is under way. */
  busy = $state(false);
  /** The question how long is open. */
  asking = $state(false);
  #dismissed = $state(0);

  on = $derived(this.hold !== null && this.hold.state !== 'ended');
  /** What ended and did not bring everything back, until a person has seen it. */
  troubled = $derived(
    this.hold !== null &&
      this.hold.state === 'ended' &&
      this.hold.from_ms !== this.#dismissed &&
      losses(this.hold).length > 0,
  );

  /** Follows it; answers how to stop. */
  start(): () => void {
    void recall(SEEN, 0, (v): v is number => typeof v === 'number').then((v) => {
      if (this.#dismissed === 0) this.#dismissed = v;
    });
    void this.refresh();
    const offs = [
      live.on((event) => {
        if (event.event === 'hold' || event.event === 'missed') void this.refresh();
      }),
      live.onSeen(() => void this.refresh()),
    ];
    return () => offs.forEach((off) => off());
  }

  async refresh(): Promise<void> {
    try {
      this.#take(await call('hold.show', {}));
    } catch {
      // What is known stays; the window says by itself where Plimsoll does not answer.
    }
  }

  /** What a hold would free; `null` where that is not told, and why not stands in `fault`. */
  async plan(): Promise<HoldFate[] | null> {
    try {
      return await call('hold.plan', { services: [] });
    } catch (thrown) {
      this.fault = toFault(thrown);
      return null;
    }
  }

  /** True where it was begun; why not stands in `fault`. */
  async begin(minutes: number, services: string[]): Promise<boolean> {
    return this.#do(() => call('hold', { minutes, services }));
  }

  /** Brings everything back now; after the end, what could not be brought back then. */
  async end(): Promise<void> {
    await this.#do(() => call('hold.end', {}));
  }

  dismiss(): void {
    if (!this.hold) return;
    this.#dismissed = this.hold.from_ms;
    remember(SEEN, this.#dismissed);
  }

  async #do(ask: () => Promise<Hold>): Promise<boolean> {
    if (this.busy) return false;
    this.busy = true;
    this.fault = null;
    try {
      this.#take(await ask());
      return true;
    } catch (thrown) {
      this.fault = toFault(thrown);
      return false;
    } finally {
      this.busy = false;
    }
  }

  #take(next: Hold | null) {
    const before = this.hold;
    this.hold = next;
    if (next?.state === 'ended' && before && before.state !== 'ended' && losses(next).length === 0)
      toasts.show('The GPU hold is over. What it took away is back.');
  }
}

export const holding = new Holding();
