import { clock } from '../format';
import { live } from '../state/live.svelte';

/** The time of day. It changes with the ticks, so that a second is painted once; without them it goes by itself. */
export class Clock {
  #alone = $state(clock(Date.now()));
  text = $derived(live.lastTick > 0 && live.connected ? clock(live.lastTick) : this.#alone);

  run(): (() => void) | void {
    if (!live.visible || (live.connected && live.lastTick > 0)) return;
    let timer: ReturnType<typeof setTimeout>;
    const tick = () => {
      this.#alone = clock(Date.now());
      timer = setTimeout(tick, 1000 - (Date.now() % 1000) + 5);
    };
    tick();
    return () => clearTimeout(timer);
  }
}
