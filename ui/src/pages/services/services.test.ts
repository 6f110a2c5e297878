import { cleanup, fireEvent, render, screen, waitFor, within } from '@testing-library/svelte';
import { afterEach, beforeEach, expect, it } from 'vitest';

import type { SeriesInfo, Service } from '../../lib/bindings';
import { CallError, useHost } from '../../lib/host';
import { fakeHost, type FakeHost } from '../../lib/host/fake';
import { router } from '../../lib/router.svelte';
import { catalog } from '../../lib/state/catalog.svelte';
import { live } from '../../lib/state/live.svelte';
import { range } from '../../lib/state/range.svelte';
import { services as store } from '../../lib/state/services.svelte';
import { toasts } from '../../lib/state/toasts.svelte';
import Services from './Services.svelte';
import { model, NO_FIGURES, some } from '../../lib/services/testing';

const GIB = 2 ** 30;
let fake: FakeHost;
let list: Service[];
let series: SeriesInfo[];
let stops: (() => void)[];

const up = (subject: string): SeriesInfo => ({
  key: { metric: 'service.up', subject },
  label: 'Up',
  subject_kind: 'service',
  kind: 'gauge',
  unit: 'flag',
  cadence_ms: 1000,
  last_ms: null,
  last: null,
});

beforeEach(() => {
  list = [
    some('chat', {
      kind: 'llama-cpp',
      models: [model('Qwen2.5-14B', { gpu_share: 0.36, size_bytes: 8 * GIB, vram_bytes: 3 * GIB })],
      slots: { total: 4, busy: 4, waiting: 2, basis: 'told' },
      figures: { ...NO_FIGURES, generated_tokens_per_s: 186 },
      holder: {
        pids: [4121, 4122],
        name: 'llama-server',
        container: null,
        started_ms: 1000,
        cpu_percent: 112,
        rss_bytes: 1.9 * GIB,
        vram_bytes: 15.5 * GIB,
      },
      hints: [
        {
          id: 'on-the-cpu',
          level: 'warning',
          text: 'Most of it runs on the CPU.',
          advice: 'Free some VRAM.',
        },
      ],
    }),
    some('redis', { kind: 'redis', url: 'redis://127.0.0.1:6379', state: 'healthy' }),
    some('sandbox', { state: 'degraded', reason: 'no /health, answers on / in 6 ms' }),
  ];
  series = list.map((s) => up(s.id));
  fake = fakeHost({
    services: () => list,
    series: () => series,
    'history.query': ({ series: keys, from_ms, to_ms }) => ({
      from_ms,
      to_ms,
      series: keys.map((key) => ({
        key,
        unit: 'flag',
        kind: 'gauge',
        level: 'raw',
        step_ms: 1000,
        points: { at_ms: [], min: [], mean: [], max: [] },
      })),
    }),
    marks: () => [],
    recall: () => null,
    remember: () => ({ message: '' }),
  });
  useHost(fake);
  store.view = null;
  store.fault = null;
  catalog.series = [];
  catalog.loaded = false;
  range.goLive();
  location.hash = '#/services';
  stops = [router.start(), live.start()];
});
afterEach(() => {
  toasts.list = [];
  cleanup();
  stops.forEach((stop) => stop());
});

const grid = () => screen.findByRole('grid', { name: 'Services, 3 rows' });
const row = (name: string) => screen.getByRole('row', { name: new RegExp(name) });
const chosen = () => screen.getAllByRole('row').find((r) => r.getAttribute('aria-selected') === 'true')?.id;

it('shows each service in words, its state by name and not by colour alone', async () => {
  render(Services);
  await grid();
  expect(screen.getByText('3 services')).toBeTruthy();
  expect(screen.getByText('2 healthy, 1 degraded')).toBeTruthy();
  const chat = row('chat');
  expect(within(chat).getByRole('img', { name: 'healthy' })).toBeTruthy();
  for (const text of ['llama.cpp :8080', 'Qwen2.5-14B', '4 of 4, 2 queued', '186', '1.90', '15.5'])
    expect(chat.textContent).toContain(text);
  expect(within(row('sandbox')).getByRole('img', { name: 'degraded' })).toBeTruthy();
  expect(row('sandbox').textContent).toContain('no /health');
});

it('begins at what is not well, arrows choose, Enter leads in and Esc back', async () => {
  render(Services);
  const rows = await grid();
  await waitFor(() => expect(chosen()).toBe('service-sandbox'));
  await fireEvent.keyDown(rows, { key: 'Home' });
  expect(chosen()).toBe('service-chat');
  await fireEvent.keyDown(rows, { key: 'ArrowDown' });
  expect(chosen()).toBe('service-redis');
  expect(rows.getAttribute('aria-activedescendant')).toBe('service-redis');
  await fireEvent.keyDown(rows, { key: 'ArrowUp' });
  await fireEvent.keyDown(rows, { key: 'ArrowUp' });
  expect(chosen()).toBe('service-chat');
  await fireEvent.keyDown(rows, { key: 'Enter' });
  const head = screen.getByRole('heading', { name: 'chat' });
  expect(document.activeElement).toBe(head);
  await fireEvent.keyDown(head, { key: 'Escape' });
  expect(document.activeElement).toBe(rows);
});

it('the detail tells its server, hints, models with their share on the GPU, and who runs it', async () => {
  render(Services);
  await grid();
  await fireEvent.click(row('chat'));
  const detail = screen.getByRole('region', { name: 'Service chat' });
  expect(within(detail).getByRole('note').textContent).toContain('Free some VRAM.');
  const models = within(detail).getByRole('table', { name: 'Models' });
  expect(models.textContent).toContain('36 %');
  expect(models.querySelector('.fallen .dot.warn')).toBeTruthy();
  const behind = within(detail).getByRole('table', { name: 'Processes' });
  const link = within(behind).getByRole('link', { name: 'llama-server 4121' });
  expect(link.getAttribute('href')).toBe('#/processes?pid=4121');
  expect(behind.textContent).toContain('Together');
  expect(behind.textContent).toContain('112 %');
});

it('a filter shows one kind, is kept, and says where nothing is left', async () => {
  render(Services);
  await grid();
  await fireEvent.click(screen.getByRole('radio', { name: 'Stores' }));
  expect(await screen.findByRole('grid', { name: 'Services, 1 row' })).toBeTruthy();
  await waitFor(() => {
    const kept = fake.calls.filter((c) => c.command === 'remember');
    expect(JSON.stringify(kept)).toContain('stores');
  });
  list = list.filter((s) => s.id !== 'redis');
  await store.refresh();
  expect(await screen.findByText('No such service is watched')).toBeTruthy();
  await fireEvent.click(screen.getByRole('button', { name: 'Show all' }));
  expect(await screen.findByRole('grid', { name: 'Services, 2 rows' })).toBeTruthy();
});

it('a service that cannot be asked for is said in words; a list that stands says since when', async () => {
  let broken = true;
  fake.handlers.services = () => {
    if (broken)
      throw new CallError({ code: 'unavailable', message: 'Plimsoll does not answer.', hint: 'Start it.' });
    return list;
  };
  render(Services);
  expect((await screen.findByRole('alert')).textContent).toContain('Plimsoll does not answer. Start it.');
  broken = false;
  await fireEvent.click(screen.getByRole('button', { name: 'Try again' }));
  await grid();
  broken = true;
  await store.refresh();
  expect(await screen.findByText(/The list stands since/)).toBeTruthy();
  expect(screen.getByRole('grid', { name: 'Services, 3 rows' })).toBeTruthy();
});

it('a picture that stands still is not read anew, and says since when', async () => {
  render(Services);
  await grid();
  const asked = () => fake.calls.filter((c) => c.command === 'services').length;
  const before = asked();
  range.pause();
  fake.emit({ event: 'tick', at_ms: Date.now() + 60_000, values: [] });
  expect(asked()).toBe(before);
  expect(await screen.findByText(/^stopped at/)).toBeTruthy();
  range.goLive();
  await waitFor(() => expect(asked()).toBeGreaterThan(before));
});

it('an address that names a service chooses it, though a filter hides it', async () => {
  fake.handlers.recall = ({ key }) => (key === 'services.only' ? '"stores"' : null);
  location.hash = '#/services/chat';
  await fireEvent(window, new HashChangeEvent('hashchange'));
  render(Services);
  expect(await screen.findByRole('region', { name: 'Service chat' })).toBeTruthy();
  expect(location.hash).toBe('#/services');
});

it('"Up and down" has a lane a service, said in words', async () => {
  render(Services);
  await grid();
  const lanes = screen.getByRole('region', { name: 'Up and down' });
  expect(within(lanes).getByRole('img', { name: /^chat: / })).toBeTruthy();
  await fireEvent.click(within(lanes).getByRole('button', { name: 'redis' }));
  expect(chosen()).toBe('service-redis');
});

it('the rail counts what is not well: a server that loads is well', async () => {
  list.push(some('late', { state: 'starting' }), some('gone', { state: 'down' }));
  await store.refresh();
  expect(store.unwell).toBe(2);
});
