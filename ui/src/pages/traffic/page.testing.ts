// The page over a door that answers as Plimsoll would, for tests of what a person does on it.

import { cleanup, screen, within } from '@testing-library/svelte';
import { afterEach, beforeEach } from 'vitest';

import type { Connect, KeyInfo, RequestRow, Traffic } from '../../lib/bindings';
import { useHost, type CommandName } from '../../lib/host';
import { fakeHost, type FakeHost } from '../../lib/host/fake';
import { router } from '../../lib/router.svelte';
import { live } from '../../lib/state/live.svelte';
import { range } from '../../lib/state/range.svelte';
import { session } from '../../lib/state/session.svelte';
import { toasts } from '../../lib/state/toasts.svelte';
import { traffic } from '../../lib/state/traffic.svelte';
import { keys } from './keys.svelte';
import { row, trafficOf } from './testing';

let stops: (() => void)[];

/** What the door answers; a test may change it. */
export const world = {
  fake: undefined as unknown as FakeHost,
  view: undefined as unknown as Traffic,
  log: [] as RequestRow[],
  keys: [] as KeyInfo[],
  connect: undefined as unknown as Connect,
};

export const keyInfo = (id: string, name: string): KeyInfo => ({
  id,
  begins: `plm-${id}`,
  spec: {
    name,
    priority: 'interactive',
    models: [],
    scopes: [],
    max_in_flight: 2,
    requests_per_min: 0,
    tokens_per_min: 0,
  },
  made_ms: 1,
  used_ms: null,
});

beforeEach(() => {
  world.view = trafficOf();
  world.log = [row(0), row(100, { client: 'continue' })];
  world.keys = [keyInfo('Vk3r', 'notebook')];
  world.connect = {
    local_url: 'http://127.0.0.1:1876/v1',
    container: {
      url: 'http://host.docker.internal:1876/v1',
      address: '172.17.0.1:1876',
      listening: false,
    },
    beyond: false,
    models: [{ name: 'qwen', services: ['chat'], route: null, endpoint: 'chat' }],
  };
  world.fake = fakeHost({
    traffic: () => world.view,
    requests: (ask) => ({
      rows: world.log
        .filter((r) => ask.client === null || r.client === ask.client)
        .filter((r) => ask.finish.length === 0 || ask.finish.includes(r.finish))
        .sort((a, b) => b.id - a.id),
      more: false,
    }),
    'requests.cancel': () => ({ message: 'cancelled' }),
    'requests.body': () => ({ request: '{"a":1}', answer: 'Hello!', cut: false }),
    'gateway.bodies': ({ client, minutes }) => {
      const bodies = minutes > 0 ? [{ client, until_ms: Date.now() + minutes * 60_000 }] : [];
      world.view = { ...world.view, bodies };
      return { message: '' };
    },
    'gateway.connect': () => world.connect,
    'gateway.test': () => ({
      steps: [{ ok: true, text: 'Key accepted, client is notebook', at_ms: 0.3 }],
      text: 'Hello!',
      row: row(0),
    }),
    keys: () => world.keys,
    'keys.add': (spec) => {
      const info = { ...keyInfo('New1', spec.name), spec };
      world.keys = [...world.keys, info];
      return { key: 'plm-New1-secret', info };
    },
    'keys.revoke': ({ id }) => {
      world.keys = world.keys.filter((k) => k.id !== id);
      return { message: '' };
    },
    'keys.change': ({ id, spec }) => ({ ...keyInfo(id, spec.name), spec }),
    'config.apply': () => ({ number: 11, at_ms: 0, by: '', rolled_back_to: null, changed: [], diff: [] }),
    series: () => [],
    marks: () => [],
    recall: () => null,
    remember: () => ({ message: '' }),
  });
  useHost(world.fake);
  traffic.view = null;
  traffic.fault = null;
  keys.view = null;
  session.config = null;
  toasts.list = [];
  range.goLive();
  location.hash = '#/traffic';
  stops = [router.start(), live.start()];
});
afterEach(() => {
  cleanup();
  stops.forEach((stop) => stop());
});

export const asked = (command: CommandName) =>
  world.fake.calls.filter((c) => c.command === command).map((c) => c.args);
export const region = (name: string | RegExp) => screen.findByRole('region', { name });
export const button = (name: string | RegExp, within_: HTMLElement = document.body) =>
  within(within_).getByRole<HTMLButtonElement>('button', { name });
/** The next reading of the page, with what is under way or ended by then. */
export async function pass(more: Partial<Traffic>): Promise<void> {
  world.view = { ...world.view, ...more };
  await traffic.refresh();
}
