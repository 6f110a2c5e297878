import { cleanup, render, screen, waitFor, within } from '@testing-library/svelte';
import { afterEach, beforeEach, expect, it } from 'vitest';

import type { ProcessTable, Service } from '../../lib/bindings';
import { CallError, useHost } from '../../lib/host';
import { fakeHost, type FakeHost } from '../../lib/host/fake';
import { live } from '../../lib/state/live.svelte';
import { services as store } from '../../lib/state/services.svelte';
import { model, NO_FIGURES, some } from '../../lib/services/testing';
import Runs from './Runs.svelte';

const GIB = 2 ** 30;
let fake: FakeHost;
let list: Service[];
let stops: (() => void)[];

const table = {
  at_ms: 600_000,
  interval_ms: 5000,
  vram_unknown: null,
  processes: [
    {
      pid: 1,
      name: 'llama-server',
      unit: null,
      container: null,
      own: false,
      cpu_percent: 100,
      rss_bytes: 2 * GIB,
      vram_bytes: 8 * GIB,
      started_ms: 0,
    },
    {
      pid: 2,
      name: 'firefox',
      unit: null,
      container: null,
      own: false,
      cpu_percent: 3,
      rss_bytes: GIB,
      vram_bytes: null,
      started_ms: 0,
    },
  ],
} as unknown as ProcessTable;
const props = { table, gpu: true, vramTotal: 24 * GIB, ramTotal: 64 * GIB, cores: 8 };

/** The list as it is now, where it was read before. */
const again = async () => {
  await Promise.resolve();
  store.view = null;
  await store.refresh();
};

beforeEach(() => {
  list = [
    some('redis', { kind: 'redis', version: '7.2' }),
    some('chat', {
      kind: 'llama-cpp',
      version: 'b9931',
      models: [model('Qwen2.5-14B')],
      slots: { total: 4, busy: 3, waiting: 2, basis: 'told' },
      figures: {
        ...NO_FIGURES,
        generated_tokens_per_s: 186,
        ttft: { p50_ms: 214, p95_ms: 812, p99_ms: null, count: 40, window_ms: 300_000 },
      },
      holder: {
        pids: [1],
        name: 'llama-server',
        container: null,
        started_ms: 0,
        cpu_percent: 112,
        rss_bytes: 2 * GIB,
        vram_bytes: 8 * GIB,
      },
    }),
    some('embed', { state: 'down', reason: 'it refuses the connection on 127.0.0.1:8081' }),
    some('seen', { origin: 'proposed', state: 'unknown' }),
  ];
  fake = fakeHost({
    services: () => list,
    'services.found': () => ({ searching: true, looked_ms: 1, ignored: [], docker: null, unclaimed: [] }),
  });
  useHost(fake);
  [store.view, store.fault] = [null, null];
  stops = [live.start(), store.use('often')];
});

afterEach(() => {
  cleanup();
  stops.forEach((stop) => stop());
});

const rows = () => screen.getAllByRole('row').slice(1);
const words = (row?: HTMLElement) =>
  within(row as HTMLElement)
    .getAllByRole('cell')
    .map((cell) => cell.textContent?.trim());

// AA1: per service CPU and memory
it('shows each service on a line that leads to it, what fails first', async () => {
  render(Runs, props);
  await screen.findByRole('link', { name: 'embed, down' });
  expect(screen.getByText('2 healthy, 1 down')).toBeTruthy();
  const [first, second] = rows();
  expect(words(first).slice(0, 2)).toEqual(['embed', 'it refuses the connection on 127.0.0.1:8081']);
  expect(words(second)).toEqual([
    'chat',
    'llama.cpp b9931',
    'Qwen2.5-14B',
    '3 of 4, 2 queued +2',
    '8.00',
    '2.00',
    '112',
    '812',
    '186tok/s',
    expect.any(String),
  ]);
  expect(screen.getByRole('link', { name: 'chat, healthy' }).getAttribute('href')).toBe('#/services/chat');
  expect(screen.getByRole('link', { name: '1 more found' }).getAttribute('href')).toBe('#/services');
});

it('counts what has no room', async () => {
  list = Array.from({ length: 9 }, (_, i) => some(`s${i}`));
  await again();
  render(Runs, props);
  // Without a layout there is room for three rows.
  const more = await screen.findByRole('link', { name: 'and 7 more' });
  expect(more.getAttribute('href')).toBe('#/services');
  expect(rows()).toHaveLength(3);
});

it('where nothing is watched it says what was found, and what runs all the same', async () => {
  list = [some('a', { origin: 'proposed' }), some('b', { origin: 'proposed' })];
  await again();
  render(Runs, props);
  expect(await screen.findByText(/2 servers found on this machine/)).toBeTruthy();
  expect(screen.getByRole('link', { name: 'Look at them' }).getAttribute('href')).toBe('#/services');
  list = [];
  await again();
  expect(await screen.findByText(/Plimsoll finds it within seconds/)).toBeTruthy();
});

it('a search that is off is not promised', async () => {
  list = [];
  await again();
  fake.handlers['services.found'] = () => ({
    searching: false,
    looked_ms: null,
    ignored: [],
    docker: null,
    unclaimed: [],
  });
  render(Runs, props);
  expect(await screen.findByText(/Plimsoll does not look for any/)).toBeTruthy();
});

it('says why they cannot be read, and from when they are where that comes later', async () => {
  fake.handlers.services = () => {
    throw new CallError({ code: 'unavailable', message: 'Plimsoll is stopping.', hint: null });
  };
  await again();
  render(Runs, props);
  expect(await screen.findByText('Plimsoll is stopping.')).toBeTruthy();
  fake.handlers.services = () => list;
  await store.refresh();
  expect(await screen.findByText('2 healthy, 1 down')).toBeTruthy();
  fake.handlers.services = () => {
    throw new CallError({ code: 'unavailable', message: 'Plimsoll is stopping.', hint: null });
  };
  await store.refresh();
  await waitFor(() => expect(screen.getByText(/^as it was at/)).toBeTruthy());
  expect(screen.getByRole('link', { name: 'chat, healthy' })).toBeTruthy();
});
