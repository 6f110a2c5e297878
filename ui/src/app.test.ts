import { cleanup, fireEvent, render, screen, waitFor, within } from '@testing-library/svelte';
import { afterEach, beforeEach, expect, it } from 'vitest';

import App from './App.svelte';
import { useHost } from './lib/host';
import { devHost } from './lib/host/fake-data';
import type { FakeHost } from './lib/host/fake';
import { range } from './lib/state/range.svelte';

let host: FakeHost;

function open(variant: string, hash: string) {
  location.hash = hash;
  host = devHost(`?fake=${variant}`);
  useHost(host);
  return render(App);
}

beforeEach(() => {
  range.goLive();
  range.choose('1h');
});

afterEach(() => {
  cleanup();
  location.hash = '';
});

const key = (name: string, more: KeyboardEventInit = {}) =>
  fireEvent.keyDown(document.body, { key: name, ...more });
const main = () => screen.getByRole('main');

// First, while the window knows nothing yet.
it('a Plimsoll that does not answer is said in words, with what to do', async () => {
  open('down', '#/overview');
  expect(await screen.findByText('Plimsoll does not answer')).toBeTruthy();
  expect(main().textContent).toContain('Start it again with plimsoll up.');
  expect(screen.getByRole('button', { name: 'Try again' })).toBeTruthy();
});

// AA1, AA2: the machine's and the card's figures
it('shows the five instruments with their values and lines', async () => {
  open('', '#/overview');
  const bank = await screen.findByRole('region', { name: 'Instruments' });
  await waitFor(() => expect(within(bank).getAllByTestId('instrument-value')).toHaveLength(5));
  expect(within(bank).getByText('VRAM')).toBeTruthy();
  expect(within(bank).getByText(/^of 22\.5 GiB$/)).toBeTruthy();
  expect(within(bank).getAllByText(/to the line$/).length).toBe(3);
});

it('without a GPU says why, and shows no GPU instrument', async () => {
  open('nogpu', '#/overview');
  expect(await screen.findByText('No GPU is watched')).toBeTruthy();
  expect(screen.getByText(/libnvidia-ml\.so was not found/)).toBeTruthy();
  expect(screen.queryByText('VRAM')).toBeNull();
  expect(screen.getByText('What holds RAM')).toBeTruthy();
});

it('says aloud that all of it is simulated', async () => {
  open('', '#/overview');
  expect(await screen.findByText('Nothing here is measured')).toBeTruthy();
});

it('keys change pages, range and live', async () => {
  open('', '#/overview');
  await screen.findByRole('region', { name: 'Instruments' });
  await key('2');
  await waitFor(() => expect(main().getAttribute('aria-label')).toBe('Explore'));
  await key(']');
  expect(range.choice).toBe('6h');
  await key('[');
  await key('[');
  expect(range.choice).toBe('15m');
  await key(' ');
  expect(range.live).toBe(false);
  expect(screen.getByText(/Paused/)).toBeTruthy();
  await key(' ');
  expect(range.live).toBe(true);
  await key('+');
  expect(range.zoomed).toBe(true);
  await key('Escape');
  expect(range.zoomed).toBe(false);
});

it('Ctrl-K opens the palette, ? the list of keys', async () => {
  open('', '#/overview');
  await screen.findByRole('region', { name: 'Instruments' });
  await key('?', { shiftKey: true });
  expect(screen.getByText('Crosshair by one pixel, with Shift by ten')).toBeTruthy();
});

it('an own range is taken by its ends, and a wrong one explained', async () => {
  open('', '#/overview');
  await screen.findByRole('region', { name: 'Instruments' });
  await fireEvent.click(screen.getByRole('button', { name: /Other time range/ }));
  const from = screen.getByLabelText('From');
  const to = screen.getByLabelText('To');
  await fireEvent.input(from, { target: { value: 'last week' } });
  await fireEvent.click(screen.getByRole('button', { name: 'Show' }));
  expect(screen.getByRole('alert').textContent).toContain('From is not a moment');
  await fireEvent.input(from, { target: { value: '2026-01-02 03:04' } });
  await fireEvent.input(to, { target: { value: '2026-01-02 04:04' } });
  await fireEvent.click(screen.getByRole('button', { name: 'Show' }));
  expect(range.fixed).toEqual({
    from: new Date(2026, 0, 2, 3, 4).getTime(),
    to: new Date(2026, 0, 2, 4, 4).getTime(),
  });
  expect(screen.getByText('Back to live')).toBeTruthy();
});

it('the rail and the radios are named, and there is one main', async () => {
  open('', '#/overview');
  await screen.findByRole('region', { name: 'Instruments' });
  const nav = screen.getByRole('navigation', { name: 'Pages' });
  expect(
    within(nav)
      .getAllByRole('link')
      .map((a) => a.getAttribute('aria-label') ?? a.textContent?.trim()),
  ).toEqual(['Overview', 'Explore', 'Processes', 'Services, 1 not well', 'Traffic', 'Limits', 'Settings']);
  expect(within(nav).getByRole('link', { current: 'page' }).textContent).toContain('Overview');
  expect(screen.getByRole('radiogroup', { name: 'Time range' })).toBeTruthy();
});

it('Explore begins with fullness and load, keeps a choice, and exports what it shows', async () => {
  open('', '#/explore');
  // The page is loaded when it is asked for: how long that takes says nothing.
  await waitFor(() => expect(screen.getAllByRole('button', { name: /^Take .* away$/ })).toHaveLength(4), {
    timeout: 10_000,
  });
  const power = screen.getByRole('checkbox', { name: /^Power \d/ });
  await fireEvent.click(power);
  expect(power.getAttribute('aria-checked')).toBe('true');
  expect(screen.getByRole('region', { name: 'GPU power' })).toBeTruthy();
  await fireEvent.click(screen.getByRole('button', { name: 'Take GPU busy away' }));
  expect(screen.queryByRole('region', { name: 'GPU busy' })).toBeNull();
  await waitFor(() => {
    const kept = host.calls
      .filter((c) => c.command === 'remember')
      .map((c) => c.args as { key: string; value: string });
    const choice = kept.findLast((k) => k.key === 'explore.choice');
    expect(JSON.parse(choice?.value ?? '{}').series.map((s: { metric: string }) => s.metric)).toEqual([
      'gpu.vram.used',
      'memory.used',
      'cpu.busy',
      'gpu.power',
    ]);
  });
  await key('e');
  await fireEvent.click(screen.getByRole('menuitem', { name: /^CSV/ }));
  await waitFor(() => expect(host.saved).toHaveLength(1));
  const csv = await host.saved[0]?.data.text();
  expect(csv).toMatch(/^time,metric,subject,unit,min,mean,max\r\n/);
}, 20_000);

it('an instrument leads to its chart in Explore', async () => {
  open('', '#/explore?series=mount.used&subject=%2Fhome');
  await waitFor(() => expect(screen.getByRole('region', { name: 'Mount used' })).toBeTruthy());
  expect(location.hash).toBe('#/explore');
});

it('an empty history says that values come', async () => {
  open('empty', '#/explore');
  expect(await screen.findByText(/Nothing has been recorded yet/)).toBeTruthy();
});
