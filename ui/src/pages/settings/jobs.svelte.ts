// Long work: how far it is, and how to stop it. Heard from the live stream.

import type { JobProgress } from '../../lib/bindings';
import { call, toFault } from '../../lib/host';
import { live } from '../../lib/state/live.svelte';

const MOST = 6;

class Jobs {
  list = $state.raw<JobProgress[]>([]);
  fault = $state<string | null>(null);

  start(): () => void {
    // What began while another page was looked at, or from another window.
    call('jobs', {}).then(
      (list) => list.filter((job) => job.state === 'running').forEach((job) => this.#hear(job)),
      // Nothing is lost: the live stream brings the next news.
      () => undefined,
    );
    return live.on((event) => {
      if (event.event === 'job') this.#hear(event.job);
    });
  }

  #hear(job: JobProgress) {
    const others = this.list.filter((j) => j.job !== job.job);
    const at = this.list.findIndex((j) => j.job === job.job);
    this.list =
      at < 0 ? [job, ...others].slice(0, MOST) : this.list.map((j) => (j.job === job.job ? job : j));
  }

  /** Notes a job before its first news arrives. */
  began(job: number, title: string): void {
    if (this.list.some((j) => j.job === job)) return;
    this.#hear({ job, title, state: 'running', share: null, message: '' });
  }

  dismiss(job: number): void {
    this.list = this.list.filter((j) => j.job !== job);
  }

  async cancel(job: number): Promise<void> {
    try {
      await call('jobs.cancel', { job });
      this.fault = null;
    } catch (thrown) {
      this.fault = toFault(thrown).message;
    }
  }
}

export const jobs = new Jobs();
