import { fireEvent, render, screen, waitFor, within } from '@testing-library/svelte';
import { expect, it, vi } from 'vitest';

import { CallError, useHost } from '../../lib/host';
import { live } from '../../lib/state/live.svelte';
import { range } from '../../lib/state/range.svelte';
import { traffic } from '../../lib/state/traffic.svelte';
import { asked, button, pass, region, world } from './page.testing';
import { backend, client, flying, idOf, row, T0, trafficOf } from './testing';
import Traffic from './Traffic.svelte';

const rows = () => screen.findByRole('grid', { name: 'Requests, newest first' });
const line = (id: number) => document.getElementById(`request-${id}`);
const busy = () => ({
  at_ms: T0 + 10_000,
  live: [flying(8000), flying(9000, { client: 'cli', phase: 'queued', position: 1, ttft_us: null })],
  backends: [
    backend('chat', { in_flight: 1, queued: 1, longest_wait_ms: 1100 }),
    backend('embed', { outside: 3 }),
  ],
  totals: { ...trafficOf().totals, in_flight: 1, queued: 1, ended: 2 },
});

it('each request in flight has its slot: who, which phase, how far; the queue says its longest wait', async () => {
  world.view = { ...world.view, ...busy() };
  render(Traffic);
  const now = await region('In flight and queued now');
  const slot = await within(now).findByText('continue');
  expect(slot.closest('[role=listitem]')?.textContent).toContain('48 of 256 tok');
  expect(now.textContent).toMatch(/1 of 4 slots/);
  expect(within(now).getByRole('img', { name: '1 of 64 places of the queue are taken' })).toBeTruthy();
  expect(now.textContent).toMatch(/1\.1 s longest/);
  expect(now.textContent).toContain('3 running requests did not come through Plimsoll (embed).');
  expect(now.textContent).toContain('They take its room, and are neither queued nor ended here.');
});

it('a percentile of too few requests is words, and what the card does not tell is no number', async () => {
  world.view.clients = [client('cli', { ttft_p95_ms: null, joules: null, requests: 6 })];
  render(Traffic);
  const grid = await screen.findByRole('grid', { name: 'Clients of the last hour' });
  expect(within(grid).getByText('needs 59')).toBeTruthy();
  expect(within(grid).getAllByRole('row')[1]?.textContent).toContain('–');
});

it('a client that is chosen shows its requests alone, until it is left', async () => {
  world.view.clients = [client('open-webui'), client('continue')];
  render(Traffic);
  const grid = await screen.findByRole('grid', { name: 'Clients of the last hour' });
  await fireEvent.keyDown(grid, { key: 'ArrowDown' });
  await fireEvent.keyDown(grid, { key: 'Enter' });
  await waitFor(() => expect(line(idOf(100))).toBeTruthy());
  await waitFor(() => expect(line(idOf(0))).toBeNull());
  await fireEvent.keyDown(grid, { key: 'Escape' });
  await waitFor(() => expect(line(idOf(0))).toBeTruthy());
});

it('a breaker says what it does, and why it does', async () => {
  const breaker = {
    state: 'rejecting',
    since_ms: T0,
    reason: '5 requests in a row failed',
    probe_ms: T0 + 28_000,
  } as const;
  world.view.backends = [backend('chat'), backend('laptop', { breaker })];
  render(Traffic);
  const panel = await region('Backends');
  expect(
    await within(panel).findByRole('button', { name: /^laptop: Rejecting, next probe in 18 s/ }),
  ).toBeTruthy();
  expect(panel.textContent).toContain('5 requests in a row failed');
  expect(within(panel).getByRole('button', { name: /^chat: Passing, 0 of 30 failed/ })).toBeTruthy();
});

it('one that rests says so in words, beside what still runs there, and is no fault', async () => {
  const rest = { resting: true, up: false };
  world.view.backends = [backend('chat', { ...rest, in_flight: 2 }), backend('laptop', { ...rest, room: 1 })];
  render(Traffic);
  const panel = await region('Backends');
  const chat = await within(panel).findByRole('button', {
    name: /^chat: Resting, nothing new, 2 still run,/,
  });
  expect(chat.title).toContain('what runs there may end first');
  expect(within(panel).getByRole('button', { name: /^laptop: Resting, nothing new,/ })).toBeTruthy();
  expect(panel.textContent).toContain(
    'chat takes nothing new: it is being stopped, started anew or unloaded',
  );
  expect(panel.querySelector('.danger, .warn')).toBeNull();
  expect(screen.getByRole('img', { name: /^chat: 2 of 4 slots, takes nothing new$/ })).toBeTruthy();
  expect(screen.queryByText('does not answer')).toBeNull();
  expect(screen.getAllByText('takes nothing new').length).toBeGreaterThanOrEqual(2);
});

it('a row opens every figure of its request, and Esc closes them', async () => {
  render(Traffic);
  const grid = await rows();
  await waitFor(() => expect(line(idOf(100))).toBeTruthy());
  await fireEvent.keyDown(grid, { key: 'ArrowDown' });
  await fireEvent.keyDown(grid, { key: 'ArrowDown' });
  await fireEvent.keyDown(grid, { key: 'Enter' });
  const detail = await screen.findByRole('complementary', { name: /^Request of open-webui/ });
  for (const text of ['Between tokens', '18', 'Tokens in', '412', 'Energy', '240', 'Overhead', '0.60'])
    expect(detail.textContent).toContain(text);
  await fireEvent.keyDown(detail, { key: 'Escape' });
  expect(screen.queryByRole('complementary')).toBeNull();
});

it('a running request is cancelled from the list in two steps', async () => {
  world.view = { ...world.view, ...busy() };
  render(Traffic);
  await rows();
  await waitFor(() => expect(line(idOf(8000))).toBeTruthy());
  await fireEvent.click(
    within(line(idOf(8000))!).getByRole('button', { name: 'Cancel the request of continue' }),
  );
  expect(asked('requests.cancel')).toEqual([]);
  const ask = await screen.findByRole('group', { name: 'Cancel the request' });
  await fireEvent.click(button('Cancel the request', ask));
  await waitFor(() => expect(asked('requests.cancel')).toEqual([{ id: idOf(8000) }]));
});

it('under the pointer the list stands still and says how many are newer', async () => {
  render(Traffic);
  const grid = await rows();
  await waitFor(() => expect(line(idOf(100))).toBeTruthy());
  await fireEvent.pointerEnter(grid);
  world.log.push(row(5000), row(6000));
  await pass({ totals: { ...trafficOf().totals, ended: 4 } });
  const newer = await screen.findByRole('button', { name: '2 newer' });
  expect(line(idOf(6000))).toBeNull();
  await fireEvent.click(newer);
  await waitFor(() => expect(line(idOf(6000))).toBeTruthy());
});

it('text is not kept unless a person reads what that means, and it can be forgotten', async () => {
  render(Traffic);
  await rows();
  await waitFor(() => expect(line(idOf(0))).toBeTruthy());
  await fireEvent.click(line(idOf(0))!);
  const detail = await screen.findByRole('complementary');
  expect(detail.textContent).toContain('It is not kept');
  await fireEvent.click(button(/^Keep that of open-webui/, detail));
  expect(asked('gateway.bodies')).toEqual([]);
  expect(detail.textContent).toMatch(/memory, never on disk.*anyone.*can read them/s);
  await fireEvent.click(button('Keep for 15 min', detail));
  await waitFor(() => expect(asked('gateway.bodies')).toEqual([{ client: 'open-webui', minutes: 15 }]));
  expect((await region('Clients')).textContent).toContain('text kept');
  await fireEvent.click(await within(detail).findByRole('button', { name: 'Show it' }));
  expect(await within(detail).findByText('Hello!')).toBeTruthy();
  await fireEvent.click(button('Stop and forget', detail));
  await waitFor(() => expect(asked('gateway.bodies')).toHaveLength(2));
  await waitFor(() => expect(within(detail).queryByText('Hello!')).toBeNull());
});

it('a port that is taken says by whom; one that is off can be turned on', async () => {
  world.view = { ...world.view, state: 'failed', reason: 'Port 1876 is taken: litellm (pid 8123).' };
  render(Traffic);
  const alert = await screen.findByRole('alert');
  expect(alert.textContent).toContain('litellm (pid 8123)');
  expect(within(alert).getByRole('link', { name: 'Change the address' }).getAttribute('href')).toBe(
    '#/settings?key=gateway.address',
  );
  await pass({ state: 'off', reason: '' });
  await fireEvent.click(await screen.findByRole('button', { name: 'Turn it on' }));
  await waitFor(() =>
    expect(asked('config.apply')).toMatchObject([{ changes: [{ key: 'gateway.enabled', value: true }] }]),
  );
});

it('where nothing passed yet it says what to do, and leads there', async () => {
  world.log = [];
  world.view = { ...world.view, clients: [], totals: { ...trafficOf().totals, ended: 0 } };
  render(Traffic);
  const panel = await region('Requests');
  expect(await within(panel).findByText('Nothing passed yet')).toBeTruthy();
  expect(panel.textContent).toContain('http://127.0.0.1:1876/v1');
  await fireEvent.click(button(/^Connect a program/, panel));
  expect(await region('Connect a program')).toBeTruthy();
});

it('without a model server it leads to Services', async () => {
  world.view.backends = [];
  render(Traffic);
  const link = await screen.findByRole('link', { name: 'Open Services' });
  expect(link.getAttribute('href')).toBe('#/services');
});

it('what cannot be read is said; what was read before stays with its time', async () => {
  let broken = true;
  world.fake.handlers.traffic = () => {
    if (broken)
      throw new CallError({ code: 'unavailable', message: 'Plimsoll does not answer.', hint: 'Start it.' });
    return world.view;
  };
  render(Traffic);
  expect((await screen.findByRole('alert')).textContent).toContain('Plimsoll does not answer. Start it.');
  broken = false;
  await fireEvent.click(button('Try again'));
  expect(await region('In flight and queued now')).toBeTruthy();
  broken = true;
  await traffic.refresh();
  expect((await screen.findByRole('alert')).textContent).toMatch(
    /No new figures for .*What stands here is from/s,
  );
});

it('it is asked for at most once a second, and never while nobody sees it', async () => {
  vi.useFakeTimers({ now: T0 });
  try {
    render(Traffic);
    await vi.advanceTimersByTimeAsync(0);
    const before = asked('traffic').length;
    expect(before).toBe(1);
    for (let i = 0; i < 30; i++) {
      world.fake.emit({ event: 'traffic', at_ms: T0 + i });
      await vi.advanceTimersByTimeAsync(100);
    }
    expect(asked('traffic').length - before).toBeLessThanOrEqual(4);
    expect(asked('traffic').length - before).toBeGreaterThanOrEqual(3);
    live.visible = false;
    const hidden = asked('traffic').length;
    world.fake.emit({ event: 'traffic', at_ms: T0 + 5000 });
    await vi.advanceTimersByTimeAsync(30_000);
    expect(asked('traffic').length).toBe(hidden);
  } finally {
    live.visible = true;
    vi.useRealTimers();
  }
});

it('a picture that stands still is not read anew, and says since when', async () => {
  render(Traffic);
  await rows();
  const before = asked('traffic').length;
  range.pause();
  world.fake.emit({ event: 'traffic', at_ms: T0 + 60_000 });
  expect(asked('traffic').length).toBe(before);
  expect((await screen.findAllByText(/^stopped at/)).length).toBeGreaterThan(0);
  range.goLive();
  await waitFor(() => expect(asked('traffic').length).toBeGreaterThan(before));
});

it('a running request is cancelled with keys alone, and the focus is never lost', async () => {
  world.view = { ...world.view, ...busy() };
  render(Traffic);
  const grid = await rows();
  await waitFor(() => expect(line(idOf(8000))).toBeTruthy());
  // The newest is first: the one that waits, then the one that writes.
  await fireEvent.keyDown(grid, { key: 'ArrowDown' });
  await fireEvent.keyDown(grid, { key: 'ArrowDown' });
  await fireEvent.keyDown(grid, { key: 'Delete' });
  const ask = await screen.findByRole('group', { name: 'Cancel the request' });
  const sure = button('Cancel the request', ask);
  await waitFor(() => expect(document.activeElement).toBe(sure));
  await fireEvent.click(sure);
  await waitFor(() => expect(asked('requests.cancel')).toEqual([{ id: idOf(8000) }]));
  const detail = screen.getByRole('complementary', { name: /^Request of continue/ });
  await waitFor(() => expect(detail.contains(document.activeElement)).toBe(true));
  await fireEvent.keyDown(detail, { key: 'Escape' });
  expect(document.activeElement).toBe(grid);
});

it('what is chosen is saved as a table, with what the log has and the page does not show', async () => {
  render(Traffic);
  await waitFor(() => expect(line(idOf(100))).toBeTruthy());
  await fireEvent.click(screen.getByRole('button', { name: 'Export the requests' }));
  await fireEvent.click(await screen.findByRole('menuitem', { name: /^CSV/ }));
  await waitFor(() => expect(world.fake.saved).toHaveLength(1));
  const saved = world.fake.saved[0]!;
  expect(saved.name).toMatch(/^plimsoll-requests-\d{8}-\d{4}\.csv$/);
  expect((await saved.data.text()).split('\r\n')).toHaveLength(4);
});

it('a browser sees before it presses what only the window may do', async () => {
  useHost(Object.assign(Object.create(world.fake) as typeof world.fake, { kind: 'browser' }));
  render(Traffic);
  const grid = await rows();
  await waitFor(() => expect(line(idOf(100))).toBeTruthy());
  await fireEvent.keyDown(grid, { key: 'ArrowDown' });
  await fireEvent.keyDown(grid, { key: 'Enter' });
  const detail = await screen.findByRole('complementary');
  expect(button(/^Keep that of/, detail).disabled).toBe(true);
  expect(detail.textContent).toContain('Not from a browser');
  await fireEvent.click(screen.getAllByRole('button', { name: /^Connect a program/ })[0]!);
  const panel = await region('Connect a program');
  const beyond = await within(panel).findByRole<HTMLButtonElement>('switch', { name: 'Other machines' });
  expect(beyond.disabled).toBe(true);
  expect(button('Listen there too', panel).disabled).toBe(true);
  expect(panel.textContent).toContain('change it in Plimsoll’s own window');
});
