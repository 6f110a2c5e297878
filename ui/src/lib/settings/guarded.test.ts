import { readFileSync } from 'node:fs';

import { expect, it } from 'vitest';

import { useHost } from '../host';
import { fakeHost } from '../host/fake';
import { GUARDED, isGuarded } from './guarded';

it('what is greyed out in a browser is what Plimsoll refuses there', () => {
  const rust = readFileSync('../crates/app/src/config_handle/browser.rs', 'utf8');
  const list = (name: string) =>
    [
      ...(new RegExp(`const ${name}: [^=]*= \\[([^\\]]*)\\]`).exec(rust)?.[1] ?? '').matchAll(/"([^"]+)"/g),
    ].map((m) => m[1] ?? '');
  const refused = [...list('WHOLE'), ...list('OF_A_SERVICE').map((field) => `services.*.${field}`)];
  expect(refused.length).toBeGreaterThan(8);
  expect([...GUARDED].sort()).toEqual(refused.sort());
});

it('in the window nothing is; a service that sends a key keeps its address in a browser', () => {
  useHost(fakeHost());
  expect(isGuarded('gateway.address')).toBe(false);
  useHost(Object.assign(Object.create(fakeHost()) as ReturnType<typeof fakeHost>, { kind: 'browser' }));
  expect(isGuarded('gateway.address')).toBe(true);
  expect(isGuarded('gateway.queue.max')).toBe(false);
  expect(isGuarded('services.chat.command')).toBe(true);
  expect(isGuarded('services.chat.url')).toBe(false);
  expect(isGuarded('services.chat.url', true)).toBe(true);
});
