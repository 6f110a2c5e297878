// What may not be changed from a browser, so that its controls say so before anybody presses them.
// Plimsoll refuses it in any case; a test compares this list with its own.

import { host } from '../host';

/** As in `crates/app/src/config_handle/browser.rs`. */
export const GUARDED = [
  'gpu.nvml_path',
  'gateway.address',
  'gateway.also',
  'gateway.hosts',
  'gateway.origins',
  'gateway.keys',
  'services.*.command',
  'services.*.env',
  'services.*.cwd',
  'services.*.key_file',
  'services.*.ca_file',
] as const;

export const WHY =
  'Not from a browser: it decides what is started, loaded or let in. Change it in Plimsoll’s own window, with `plimsoll config set`, or in the file.';
/** The same where there is little room. */
export const WHY_SHORT = 'not from a browser; change it in Plimsoll’s own window';

export const inBrowser = (): boolean => host().kind === 'browser';

/** Whether this very setting is out of reach here. `keyed`: its service sends a key, which would follow its address. */
export function isGuarded(key: string, keyed = false): boolean {
  if (!inBrowser()) return false;
  const service = /^services\.[^.]+\.([^.]+)$/.exec(key)?.[1];
  if (service === 'url') return keyed;
  const pattern = service === undefined ? key : `services.*.${service}`;
  return (GUARDED as readonly string[]).includes(pattern);
}
