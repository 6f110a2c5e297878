import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { fakeHost, type FakeHost } from '../host/fake';

let host: FakeHost;
let live: (typeof import('./live.svelte'))['live'];
let services: (typeof import('./services.svelte'))['services'];
let stops: (() => void)[];

beforeEach(async () => {
  vi.useFakeTimers();
  vi.resetModules();
  const door = await import('../host');
  host = fakeHost({ services: () => [] });
  door.useHost(host);
  ({ live } = await import('./live.svelte'));
  ({ services } = await import('./services.svelte'));
  stops = [live.start()];
  await vi.advanceTimersByTimeAsync(0);
});

afterEach(() => {
  stops.forEach((stop) => stop());
  hide(false);
  vi.useRealTimers();
});

function hide(hidden: boolean) {
  Object.defineProperty(document, 'visibilityState', {
    configurable: true,
    get: () => (hidden ? 'hidden' : 'visible'),
  });
  document.dispatchEvent(new Event('visibilitychange'));
}

const asked = () => host.calls.filter((c) => c.command === 'services').length;
const changed = async (after: number) => {
  await vi.advanceTimersByTimeAsync(after);
  host.emit({ event: 'services', at_ms: 1 });
  await vi.advanceTimersByTimeAsync(0);
};

it('asks when they changed, and not because time passes', async () => {
  stops.push(services.use('often'));
  await vi.advanceTimersByTimeAsync(60_000);
  for (let at = 0; at < 10; at++) host.emit({ event: 'tick', at_ms: at, values: [] });
  await vi.advanceTimersByTimeAsync(0);
  expect(asked()).toBe(1);
  await changed(1000);
  expect(asked()).toBe(2);
});

it('asks seldom for the rail alone, and the last change of several is not lost', async () => {
  stops.push(services.use());
  for (let second = 0; second < 4; second++) await changed(1000);
  expect(asked()).toBe(1);
  await vi.advanceTimersByTimeAsync(1000);
  expect(asked()).toBe(2);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(asked()).toBe(2);
});

it('a glance asks every other second, and whoever looks closer sets the pace for all', async () => {
  stops.push(services.use('glance'));
  for (let second = 0; second < 4; second++) await changed(1000);
  expect(asked()).toBe(3);
  const stop = services.use('often');
  for (let second = 0; second < 4; second++) await changed(1000);
  expect(asked()).toBe(8);
  stop();
  stop();
  for (let second = 0; second < 4; second++) await changed(1000);
  expect(asked()).toBe(10);
});

it('a hidden window does not ask, whatever changes, and asks once when it is seen', async () => {
  stops.push(services.use('often'));
  await changed(1000);
  expect(asked()).toBe(2);
  hide(true);
  await changed(1000);
  await changed(60_000);
  expect([asked(), host.subscribed]).toEqual([2, null]);
  hide(false);
  await vi.advanceTimersByTimeAsync(0);
  expect([asked(), host.subscribed]).toEqual([3, []]);
});

it('asks by itself while the stream is broken', async () => {
  stops.push(services.use());
  await vi.advanceTimersByTimeAsync(0);
  live.connected = false;
  await vi.advanceTimersByTimeAsync(11_000);
  expect(asked()).toBe(3);
});

it('a change that comes while it is being told is asked for again', async () => {
  let answer: (() => void) | undefined;
  host.handlers.services = () => new Promise((done) => (answer = () => done([])));
  stops.push(services.use('often'));
  await changed(900);
  expect(asked()).toBe(1);
  answer?.();
  await vi.advanceTimersByTimeAsync(1000);
  expect(asked()).toBe(2);
});
