// Services that are started anew for what was applied: launch settings take hold with a start.

import type { JobProgress, LimitInfo, Service } from '../bindings';
import { call, toFault } from '../host';
import { services } from '../state/services.svelte';
import { toasts } from '../state/toasts.svelte';
import { restartsOf, type Restart } from './words';

/** What these settings start anew, as far as is known here; one that a person stopped stays so. */
export function restartedBy(of: readonly LimitInfo[]): Restart[] {
  const stopped = stoppedOf(services.view?.services ?? []);
  return restartsOf(of).filter(({ service }) => !stopped.has(service));
}

export class Restarts {
  /** Services that are being started again, by their jobs. */
  #starting = new Map<number, string>();

  /** These were applied: the button said before what it would start again. */
  async begin(changed: readonly LimitInfo[]): Promise<void> {
    const list = restartsOf(changed);
    if (list.length === 0) return;
    const stopped = await stoppedNow();
    for (const { service, name } of list) {
      if (stopped.has(service)) {
        toasts.show(`${name} stays stopped; it takes hold when ${name} is started`);
        continue;
      }
      try {
        const { job } = await call('services.restart', { id: service });
        this.#starting.set(job, name);
        toasts.show(`${name} is being started again`);
      } catch (thrown) {
        toasts.show(`${name} goes on as it is: ${toFault(thrown).message}`);
      }
    }
  }

  /** Whether a service that was started again serves by this, or does not. */
  ends({ job, state, message }: JobProgress): boolean {
    const name = this.#starting.get(job);
    if (name === undefined || state === 'running') return false;
    this.#starting.delete(job);
    toasts.show(
      message.replace(/\.$/, '') ||
        (state === 'done' ? `${name} serves again` : `${name} was not started again`),
    );
    return true;
  }
}

async function stoppedNow(): Promise<ReadonlySet<string>> {
  try {
    return stoppedOf(await call('services', {}));
  } catch {
    return stoppedOf(services.view?.services ?? []);
  }
}

function stoppedOf(list: readonly Service[]): ReadonlySet<string> {
  const stopped = list.filter(({ run }) => run?.state === 'stopped' || run?.state === 'stopping');
  return new Set(stopped.map(({ id }) => id));
}
