import { cleanup, fireEvent, render, screen, waitFor, within } from '@testing-library/svelte';
import { afterEach, beforeEach, expect, it } from 'vitest';

import type { Hold, HoldFate, Service } from '../bindings';
import { CallError, useHost } from '../host';
import { fakeHost, type FakeHost } from '../host/fake';
import { holding } from '../state/hold.svelte';
import { live } from '../state/live.svelte';
import { processes } from '../state/processes.svelte';
import { services } from '../state/services.svelte';
import { toasts } from '../state/toasts.svelte';
import { some } from '../services/testing';
import HoldDialog from './HoldDialog.svelte';
import HoldStrip from './HoldStrip.svelte';

const GIB = 2 ** 30;
let fake: FakeHost;
let hold: Hold | null;
let stops: (() => void)[];

const begun = (more: Partial<Hold> = {}): Hold => ({
  state: 'held',
  from_ms: 1000,
  until_ms: Date.now() + 42 * 60_000,
  steps: [
    { service: 'chat', model: null, freed: true, restored: false, trouble: '', waits_for: 0 },
    {
      service: 'embed',
      model: null,
      freed: false,
      restored: false,
      trouble: 'It lets no model go.',
      waits_for: 0,
    },
  ],
  vram_before_bytes: 20 * GIB,
  vram_after_bytes: 5 * GIB,
  ...more,
});
const freed = (id: string, gib: number): HoldFate => ({
  service: id,
  name: id,
  models: [],
  vram_bytes: gib * GIB,
  can: true,
  why: '',
});
const managed = (id: string, gib: number): Service =>
  some(id, {
    kind: 'llama-cpp',
    holder: {
      pids: [gib],
      name: id,
      container: null,
      started_ms: 1,
      cpu_percent: 1,
      rss_bytes: GIB,
      vram_bytes: gib * GIB,
    },
    run: {
      state: 'running',
      reason: '',
      since_ms: 1,
      pid: gib,
      restarts: 0,
      next_ms: null,
      planned_vram_bytes: null,
      command: [],
    },
  });

beforeEach(async () => {
  hold = null;
  fake = fakeHost({
    services: () => [managed('chat', 15), managed('vision', 4)],
    processes: () => ({ at_ms: 1, interval_ms: 5000, processes: [], vram_unknown: null }),
    'hold.plan': () => [freed('chat', 15), freed('vision', 4)],
    'hold.show': () => hold,
    'hold.end': () => (hold = { ...(hold as Hold), state: 'restoring' }),
    hold: ({ minutes }) => (hold = begun({ until_ms: Date.now() + minutes * 60_000 })),
    recall: () => null,
    remember: () => ({ message: '' }),
  });
  useHost(fake);
  holding.hold = null;
  holding.fault = null;
  services.view = null;
  processes.view = null;
  toasts.list = [];
  stops = [live.start(), holding.start()];
  await Promise.resolve();
});

afterEach(() => {
  cleanup();
  stops.forEach((stop) => stop());
});

const args = (command: string) => fake.calls.filter((c) => c.command === command).map((c) => c.args);
const news = async (next: Hold | null) => {
  hold = next;
  fake.emit({ event: 'hold' });
  await waitFor(() => expect(holding.hold).toEqual(next));
};

it('asks how long and what, and frees all that lets itself be freed', async () => {
  let closed = 0;
  render(HoldDialog, { onclose: () => (closed += 1) });
  const go = await screen.findByRole('button', { name: 'Free it for 1 h' });
  await screen.findByText('About 19.0 GiB become free.');
  await fireEvent.click(screen.getByRole('radio', { name: '4 h' }));
  expect(go.textContent).toBe('Free it for 4 h');
  await fireEvent.submit(go.closest('form') as HTMLFormElement);
  await waitFor(() => expect(args('hold')).toEqual([{ minutes: 240, services: [] }]));
  await waitFor(() => expect(closed).toBe(1));
});

it('spares what a person leaves out, and takes no length that is none', async () => {
  render(HoldDialog, { onclose: () => undefined });
  await fireEvent.click(await screen.findByRole('checkbox', { name: /chat/ }));
  await screen.findByText('About 4.00 GiB become free.');
  await fireEvent.click(screen.getByRole('radio', { name: 'Other' }));
  const field = screen.getByRole('spinbutton', { name: /Minutes/ });
  await fireEvent.input(field, { target: { value: '0' } });
  const form = field.closest('form') as HTMLFormElement;
  expect(screen.getByRole<HTMLButtonElement>('button', { name: 'Free it' }).disabled).toBe(true);
  expect(screen.getByText('1 to 1440 minutes')).toBeTruthy();
  await fireEvent.submit(form);
  expect(args('hold')).toEqual([]);
  await fireEvent.input(field, { target: { value: '90' } });
  await fireEvent.submit(form);
  await waitFor(() => expect(args('hold')).toEqual([{ minutes: 90, services: ['vision'] }]));
});

it('says in place why it is not known what would let go', async () => {
  fake.handlers['hold.plan'] = () => {
    throw new CallError({ code: 'unavailable', message: 'Plimsoll is stopping.', hint: null });
  };
  render(HoldDialog, { onclose: () => undefined });
  expect((await screen.findByRole('alert')).textContent?.trim()).toBe('Plimsoll is stopping.');
  expect(screen.queryByText('Asking what runs')).toBeNull();
  expect(screen.getByRole<HTMLButtonElement>('button', { name: 'Free it for 1 h' }).disabled).toBe(true);
});

it('says in place why it could not begin', async () => {
  fake.handlers.hold = () => {
    throw new CallError({ code: 'conflict', message: 'Another hold is ending.', hint: 'Wait for it.' });
  };
  render(HoldDialog, { onclose: () => undefined });
  const go = await screen.findByRole('button', { name: 'Free it for 1 h' });
  await screen.findByText('About 19.0 GiB become free.');
  await fireEvent.submit(go.closest('form') as HTMLFormElement);
  expect((await screen.findByRole('alert')).textContent?.trim()).toBe('Another hold is ending. Wait for it.');
});

it('while it is on, another length names the same services', async () => {
  await news(begun());
  render(HoldDialog, { onclose: () => undefined });
  expect(screen.queryByRole('checkbox')).toBeNull();
  const go = screen.getByRole('button', { name: 'Hold it 1 h from now' });
  await fireEvent.submit(go.closest('form') as HTMLFormElement);
  await waitFor(() => expect(args('hold')).toEqual([{ minutes: 60, services: ['chat', 'embed'] }]));
});

it('the strip says how long still, what is free, what is not, and ends it', async () => {
  render(HoldStrip);
  expect(screen.queryByRole('region')).toBeNull();
  await news(begun());
  const strip = within(screen.getByRole('region', { name: 'GPU hold' }));
  expect(strip.getByText(/^42 min left, until/)).toBeTruthy();
  expect(strip.getByText('15.0 GiB freed')).toBeTruthy();
  await fireEvent.click(strip.getByRole('button', { name: '1 could not be freed' }));
  expect(strip.getByText('It lets no model go.')).toBeTruthy();
  expect(screen.getByRole('status').textContent).toMatch(
    /^The GPU is held until .*, 15.0 GiB freed, 1 not\.$/,
  );
  await fireEvent.keyDown(window, { key: 'Escape' });
  expect(strip.queryByText('It lets no model go.')).toBeNull();
  await fireEvent.click(strip.getByRole('button', { name: 'End now' }));
  await waitFor(() => expect(args('hold.end').length).toBe(1));
  expect(await strip.findByText('bringing back')).toBeTruthy();
  expect(strip.queryByRole('button', { name: 'End now' })).toBeNull();
});

it('an end that brings everything back is a short word, and nothing stays', async () => {
  render(HoldStrip);
  await news(begun({ state: 'restoring' }));
  const steps = begun().steps.map((s) => ({ ...s, restored: s.freed }));
  await news(begun({ state: 'ended', steps }));
  expect(toasts.list.map((t) => t.text)).toEqual(['The GPU hold is over. What it took away is back.']);
  expect(screen.queryByRole('region')).toBeNull();
});

it('what did not come back stays until it is seen, and can be tried again', async () => {
  render(HoldStrip);
  const steps = [
    {
      service: 'chat',
      model: null,
      freed: true,
      restored: false,
      trouble: 'It ended at once.',
      waits_for: 0,
    },
  ];
  await news(begun({ state: 'ended', steps }));
  const strip = within(screen.getByRole('region', { name: 'GPU hold' }));
  expect(strip.getByText('chat did not come back: It ended at once.')).toBeTruthy();
  await fireEvent.click(strip.getByRole('button', { name: 'Try again' }));
  await waitFor(() => expect(args('hold.end').length).toBe(1));
  await news(begun({ state: 'ended', steps }));
  await fireEvent.click(await screen.findByRole('button', { name: 'Dismiss' }));
  expect(screen.queryByRole('region')).toBeNull();
  expect(toasts.list).toEqual([]);
  // The next one's troubles are new.
  await news(begun({ state: 'ended', steps, from_ms: 2000 }));
  expect(await screen.findByRole('region', { name: 'GPU hold' })).toBeTruthy();
});
