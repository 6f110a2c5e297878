// What passes the gateway, kept fresh while its page is open.

import type { Traffic } from '../bindings';
import { call } from '../host';
import { PacedReading } from './paced.svelte';

/** Between two readings. */
const PACE_MS = 1000;
/** Where nobody says a change: what counts the last minute grows old all the same. */
const SELDOM_MS = 10_000;

class TrafficReading extends PacedReading<Traffic> {
  /** Keeps it fresh until the answer is called. */
  use(): () => void {
    return this.keep(PACE_MS, true);
  }
}

export const traffic = new TrafficReading(() => call('traffic', {}), {
  event: 'traffic',
  seldom_ms: SELDOM_MS,
});
