import { browserHost } from './browser';
import { tauriHost } from './tauri';
import type { Host } from './types';

export * from './types';

let current: Host | undefined;

/** The door that fits where the window runs; made once. */
export function host(): Host {
  current ??= '__TAURI_INTERNALS__' in globalThis ? tauriHost() : browserHost();
  return current;
}

/** Puts another door in place: tests, and `npm run dev` without Plimsoll. */
export function useHost(other: Host): void {
  current = other;
}

/** Short for `host().call`. */
export const call: Host['call'] = (command, args) => host().call(command, args);

/** Who asks, as revisions name it. */
export const asker = (): string => (host().kind === 'browser' ? 'browser' : 'window');
