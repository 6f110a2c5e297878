import { beforeEach, expect, it, vi } from 'vitest';

import { fakeHost, type FakeHost } from '../host/fake';
import { unionOf } from './live.svelte';

let host: FakeHost;
let live: (typeof import('./live.svelte'))['live'];

beforeEach(async () => {
  vi.resetModules();
  const door = await import('../host');
  host = fakeHost();
  door.useHost(host);
  ({ live } = await import('./live.svelte'));
});

const turn = () => new Promise((resolve) => setTimeout(resolve, 0));

function hide(hidden: boolean) {
  Object.defineProperty(document, 'visibilityState', {
    configurable: true,
    get: () => (hidden ? 'hidden' : 'visible'),
  });
  document.dispatchEvent(new Event('visibilitychange'));
}

it('asks once for what several pages want, without repetition', async () => {
  const stop = live.start();
  live.want(['gpu.', 'cpu.busy']);
  live.want(['gpu.vram.used']);
  await turn();
  expect(host.subscribed).toEqual(['cpu.busy', 'gpu.']);
  stop();
  expect(host.subscribed).toBeNull();
});

it('a hidden window asks for nothing, and for everything again when it is seen', async () => {
  const stop = live.start();
  live.want(['cpu.']);
  await turn();
  hide(true);
  await turn();
  expect(live.visible).toBe(false);
  expect(host.subscribed).toBeNull();
  hide(false);
  await turn();
  expect(host.subscribed).toEqual(['cpu.']);
  stop();
});

it('a page that goes takes its wishes along', async () => {
  const stop = live.start();
  const release = live.want(['cpu.']);
  live.want(['memory.']);
  await turn();
  release();
  await turn();
  expect(host.subscribed).toEqual(['memory.']);
  stop();
});

it('a broken stream is known, and asked for again', async () => {
  vi.useFakeTimers();
  const asked: string[][] = [];
  const door = await import('../host');
  const flaky = fakeHost({}, (fake) => {
    asked.push(fake.subscribed ?? []);
    return () => undefined;
  });
  door.useHost(flaky);
  const stop = live.start();
  live.want(['cpu.']);
  await vi.advanceTimersByTimeAsync(0);
  flaky.link(false);
  expect(live.connected).toBe(false);
  await vi.advanceTimersByTimeAsync(1000);
  expect(asked.length).toBe(2);
  expect(live.connected).toBe(true);
  stop();
  vi.useRealTimers();
});

it('hears events and remembers the newest tick', async () => {
  const stop = live.start();
  const heard: string[] = [];
  live.on((event) => heard.push(event.event));
  await turn();
  host.emit({ event: 'tick', at_ms: 5000, values: [] });
  host.emit({ event: 'tick', at_ms: 4000, values: [] });
  host.emit({ event: 'alerts' });
  expect(heard).toEqual(['tick', 'tick', 'alerts']);
  expect(live.lastTick).toBe(5000);
  stop();
});

it('a beginning covers the names that begin with it, and there is a bound', () => {
  expect(unionOf([['gpu.'], ['gpu.busy', 'gpu.']])).toEqual(['gpu.']);
  expect(unionOf([['', 'cpu.busy']])).toEqual(['']);
  expect(unionOf([Array.from({ length: 100 }, (_, i) => `m${String(i).padStart(3, '0')}x`)]).length).toBe(64);
});
