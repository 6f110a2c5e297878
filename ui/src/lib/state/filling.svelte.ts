// The demo's past is written while the window is already open. Until it is there, a
// chart has nothing where it will have something: this says so in place of a blank.

import type { JobProgress } from '../bindings';
import type { Trace } from '../chart/columns';
import { call } from '../host';
import type { Span } from '../range';
import { live } from './live.svelte';
import { session } from './session.svelte';

/** As the engine names the job. */
const TITLE = "The demo's first day";

class Filling {
  #job = $state.raw<JobProgress | null>(null);
  #users = 0;
  #off: (() => void) | undefined;

  /** While a page shows charts; answers how to stop. */
  use(): () => void {
    if (this.#users++ === 0) {
      this.#off = live.on((event) => {
        if (event.event === 'job') this.#hear(event.job);
      });
      call('jobs', {}).then(
        (list) => list.forEach((job) => this.#hear(job)),
        // Nothing is lost: the live stream brings the next news.
        () => undefined,
      );
    }
    return () => {
      if (--this.#users > 0) return;
      this.#off?.();
      this.#job = null;
    };
  }

  #hear(job: JobProgress) {
    if (job.title !== TITLE) return;
    this.#job = job.state === 'running' ? job : null;
  }

  /** What to write where nothing is yet; `null` once it is. How far it is stands in the strip above. */
  get words(): string | null {
    return session.simulated && this.#job !== null ? 'being simulated' : null;
  }

  /** Before the first point of all traces: what is still being filled. */
  span(traces: readonly Trace[], view: Span): Span | null {
    if (this.words === null) return null;
    const first = Math.min(...traces.map((t) => t.columns.at[0] ?? Infinity), view.to);
    // An edge of a few pixels is no past.
    return first - view.from > (view.to - view.from) / 100 ? { from: view.from, to: first } : null;
  }
}

export const filling = new Filling();
