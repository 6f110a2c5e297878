// The demand over time: what waits stands on what is in flight. Pure.

import { Trace } from '../../lib/chart/columns';

/** One trace whose band lies between what is in flight and the whole demand. */
export function demandOf(inFlight: Trace, queued: Trace): Trace {
  const a = inFlight.columns;
  const q = queued.columns;
  const out = {
    at: [...a.at],
    min: [] as (number | null)[],
    mean: [] as (number | null)[],
    max: [] as (number | null)[],
  };
  let j = 0;
  for (let i = 0; i < a.at.length; i++) {
    const at = a.at[i] ?? 0;
    // The newest reading that is not after it: both come with the same ticks, but not at one pixel.
    while (j + 1 < q.at.length && (q.at[j + 1] ?? Infinity) <= at) j += 1;
    const near =
      q.at[j] !== undefined && Math.abs((q.at[j] ?? 0) - at) < 2.5 * Math.max(inFlight.step, queued.step);
    const low = a.mean[i] ?? null;
    const wait = near ? (q.mean[j] ?? null) : null;
    const sum = low === null || wait === null ? low : low + wait;
    out.min.push(low);
    out.mean.push(sum);
    out.max.push(sum);
  }
  return new Trace(out, inFlight.step, inFlight.cadence);
}
