// The services and how they are: kept fresh for the pages that show them, and now and then for the
// count in the rail.

import type { Service } from '../bindings';
import { call } from '../host';
import { live } from './live.svelte';
import { PacedReading } from './paced.svelte';
import { lookOf } from '../services/words';

/**
 * Between two readings: for their page, for Overview, and for the rail. Overview shows much
 * besides, and a figure that is two seconds old says the same for less.
 */
const PACES = { often: 1000, glance: 2000, seldom: 5000 };
export type Pace = keyof typeof PACES;

export interface ServicesView {
  /** When they were read. */
  at_ms: number;
  services: Service[];
}

class Services extends PacedReading<ServicesView> {
  /** Those that a person should look at: a server that loads is well, and one that was stopped is meant to be. */
  unwell = $derived(
    (this.view?.services ?? []).filter((s) => ['degraded', 'down'].includes(lookOf(s))).length,
  );

  /** Keeps them fresh until the answer is called. */
  use(pace: Pace = 'seldom'): () => void {
    return this.keep(PACES[pace], pace !== 'seldom');
  }
}

const ask = async (): Promise<ServicesView> => {
  const services = await call('services', {});
  return { at_ms: Date.now(), services };
};

export const services = new Services(ask, {
  event: 'services',
  seldom_ms: PACES.seldom,
  // Where the stream is broken nobody says a change.
  unasked: () => !live.connected,
});
