import { clock } from '../format';
import { live } from '../state/live.svelte';

/** The time of day. It changes with the ticks, so that a second is painted once; without them it goes by itself. */
export class Clock {
  #alone = $state(clock(Date.now()));
  #ticking = $derived(live.connected && live.lastTick > 0);
  text = $derived(this.#ticking ? clock(live.lastTick) : this.#alone);

  /** Pages that show no metric ask for none, and nothing would tick: the clock asks for one, whatever happens. */
  want(): () => void {
    return live.want(['self.cpu']);
  }

  run(): (() => void) | void {
    if (!live.visible || this.#ticking) return;
    let timer: ReturnType<typeof setTimeout>;
    const tick = () => {
      this.#alone = clock(Date.now());
      timer = setTimeout(tick, 1000 - (Date.now() % 1000) + 5);
    };
    tick();
    return () => clearTimeout(timer);
  }
}
