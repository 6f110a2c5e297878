import { clock } from '../format';
import { live } from '../state/live.svelte';

/** The time of day, changed when its last digit does, and only while somebody looks. */
export class Clock {
  text = $state(clock(Date.now()));

  run(): (() => void) | void {
    if (!live.visible) return;
    let timer: ReturnType<typeof setTimeout>;
    const tick = () => {
      this.text = clock(Date.now());
      timer = setTimeout(tick, 1000 - (Date.now() % 1000) + 5);
    };
    tick();
    return () => clearTimeout(timer);
  }
}
