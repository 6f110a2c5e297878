// The keys that programs were given. Read when they are shown, and after each change.

import type { KeyInfo, KeyMade, KeySpec } from '../../lib/bindings';
import { call } from '../../lib/host';
import { Reading } from '../../lib/state/reading.svelte';

export const NEW_KEY: KeySpec = {
  name: '',
  priority: 'interactive',
  models: [],
  scopes: [],
  max_in_flight: 0,
  requests_per_min: 0,
  tokens_per_min: 0,
};

class Keys extends Reading<KeyInfo[]> {
  async add(spec: KeySpec): Promise<KeyMade> {
    const made = await call('keys.add', spec);
    await this.refresh();
    return made;
  }

  async change(id: string, spec: KeySpec): Promise<void> {
    await call('keys.change', { id, spec });
    await this.refresh();
  }

  async revoke(id: string): Promise<string> {
    const { message } = await call('keys.revoke', { id });
    await this.refresh();
    return message;
  }
}

export const keys = new Keys(() => call('keys', {}));

/** What a key may do, in few words. */
export function mayOf(spec: KeySpec): string {
  const what = spec.models.length === 0 ? 'all models' : spec.models.join(', ');
  return [what, ...spec.scopes].join(', ');
}

/** Its limits, in few words; empty where it has none. */
export function limitsOf(spec: KeySpec): string {
  return [
    spec.max_in_flight > 0 ? `${spec.max_in_flight} at once` : '',
    spec.requests_per_min > 0 ? `${spec.requests_per_min} requests/min` : '',
    spec.tokens_per_min > 0 ? `${spec.tokens_per_min} tokens/min` : '',
  ]
    .filter(Boolean)
    .join(', ');
}
