// The page over a door that answers as Plimsoll would, for tests of what a person does on it.

import { cleanup, fireEvent, render, screen, waitFor, within } from '@testing-library/svelte';
import { afterEach, beforeEach, expect } from 'vitest';

import type { JobProgress, Service, ServicesFound } from '../../lib/bindings';
import { useHost, type CommandName } from '../../lib/host';
import { fakeHost, type FakeHost } from '../../lib/host/fake';
import { router } from '../../lib/router.svelte';
import { live } from '../../lib/state/live.svelte';
import { range } from '../../lib/state/range.svelte';
import { services as store } from '../../lib/state/services.svelte';
import { session } from '../../lib/state/session.svelte';
import { toasts } from '../../lib/state/toasts.svelte';
import { acts } from '../../lib/services/acts.svelte';
import { found } from '../../lib/services/found.svelte';
import Services from './Services.svelte';
import { model, run, some } from '../../lib/services/testing';

const GIB = 2 ** 30;
let stops: (() => void)[];

/** What the door answers; a test may change it. */
export const world = {
  fake: undefined as unknown as FakeHost,
  list: [] as Service[],
  known: undefined as unknown as ServicesFound,
};

const settings = (more: Record<string, string | number | boolean> = {}) =>
  Object.entries({
    'services.discover': true,
    'services.chat.url': 'http://127.0.0.1:8080',
    'services.ours.url': 'http://127.0.0.1:8081',
    ...more,
  }).map(([key, value]) => ({
    key,
    spec: key,
    value,
    default: value,
    origin: { from: 'file' as const, line: 1 },
  }));
export const config = (more = {}) => ({
  path: '/p',
  text: '',
  revision: 7,
  digest: 'abc',
  problems: [],
  settings: settings(more),
});

beforeEach(() => {
  const ollama = {
    kind: 'ollama',
    url: 'http://127.0.0.1:11434',
    origin: 'proposed',
    state: 'unknown',
  } as const;
  world.list = [
    some('chat', { kind: 'llama-cpp' }),
    some('speech', {
      kind: 'speaches',
      origin: 'accepted',
      actions: { load: true, unload: true },
      models: [
        model('large', { size_bytes: GIB, vram_bytes: GIB, gpu_share: 1 }),
        model('small', { loaded: 'unloaded' }),
      ],
    }),
    some('ours', {
      kind: 'llama-cpp',
      slots: { total: 4, busy: 3, waiting: 0, basis: 'told' },
      run: run({ planned_vram_bytes: 8 * GIB }),
    }),
    some('ollama', ollama),
  ];
  world.known = { searching: true, looked_ms: Date.now(), ignored: [], docker: null, unclaimed: [] };
  world.fake = fakeHost({
    services: () => world.list,
    'services.found': () => ({ ...world.known }),
    'services.accept': ({ id }) => {
      world.list = world.list.map((s) => (s.id === id ? { ...s, origin: 'accepted', state: 'healthy' } : s));
      return { message: `${id} is watched` };
    },
    'services.ignore': ({ id }) => {
      world.list = world.list.filter((s) => s.id !== id);
      world.known.ignored = [{ id, name: id, kind: 'ollama', url: 'http://127.0.0.1:11434', live: true }];
      return { message: `${id} is not proposed again` };
    },
    'services.restore': () => ({ message: '' }),
    'services.remove': ({ id }) => {
      world.list = world.list.filter((s) => s.id !== id);
      return { message: `${id} is gone`, revision: 8 };
    },
    'services.stop': () => ({ job: 7 }),
    'services.restart': () => ({ job: 8 }),
    'services.start': () => ({ message: 'starting' }),
    'services.output': () => ({ lines: [{ number: 1, at_ms: 1, text: 'listening' }], file: '/log' }),
    'services.load': () => ({ job: 5 }),
    'services.unload': () => ({ job: 6 }),
    'services.test': ({ target }) => ({
      url: target,
      kind: 'ollama',
      version: null,
      state: 'healthy',
      models: [],
      took_ms: 4,
      message: `Ollama answers at ${target} within 4 ms.`,
    }),
    'services.add': () => {
      world.list = [...world.list, some('new')];
      return { id: 'new', revision: 9 };
    },
    'config.undo': () => ({ number: 10, at_ms: 0, by: '', rolled_back_to: null, changed: [], diff: [] }),
    'config.apply': () => ({ number: 11, at_ms: 0, by: '', rolled_back_to: null, changed: [], diff: [] }),
    'jobs.cancel': () => ({ message: '' }),
    config: () => config(),
    series: () => [],
    marks: () => [],
    processes: () => ({ at_ms: 0, interval_ms: 5000, processes: [], vram_unknown: null }),
    recall: () => null,
    remember: () => ({ message: '' }),
  });
  useHost(world.fake);
  store.view = null;
  store.fault = null;
  found.view = null;
  session.config = config();
  toasts.list = [];
  for (const { id } of world.list) {
    acts.dismiss(id);
    acts.forgetEnding(id);
  }
  range.goLive();
  location.hash = '#/services';
  stops = [router.start(), live.start()];
});
afterEach(() => {
  cleanup();
  stops.forEach((stop) => stop());
});

export const asked = (command: CommandName) =>
  world.fake.calls.filter((c) => c.command === command).map((c) => c.args);
export const button = (name: string | RegExp, within_: HTMLElement = document.body) =>
  within(within_).getByRole<HTMLButtonElement>('button', { name });
export const detail = (name: string) => screen.findByRole('region', { name: `Service ${name}` });
/** The page with one chosen; answers its detail. */
export async function open(id: string) {
  render(Services);
  await screen.findByRole('grid');
  await fireEvent.click(document.getElementById(`service-${id}`)!);
  return detail(id);
}
export const toast = (text: string) =>
  waitFor(() => {
    const it = toasts.list.find((t) => t.text.includes(text));
    expect(it).toBeTruthy();
    return it!;
  });
export const job = (more: Partial<JobProgress>) =>
  world.fake.emit({
    event: 'job',
    job: { job: 5, title: 'Load small', state: 'running', share: 0, message: '', ...more },
  });
