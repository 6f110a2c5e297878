import { beforeEach, expect, it, vi } from 'vitest';

import { fakeHost, type FakeHost } from '../host/fake';

const NOW = new Date(2026, 10, 21, 15, 0, 0).getTime();
let host: FakeHost;
let range: (typeof import('./range.svelte'))['range'];
let stops: (() => void)[];

beforeEach(async () => {
  vi.useFakeTimers({ now: NOW });
  vi.resetModules();
  const door = await import('../host');
  host = fakeHost({ recall: () => null, remember: () => ({ message: '' }) });
  door.useHost(host);
  const { live } = await import('./live.svelte');
  ({ range } = await import('./range.svelte'));
  stops = [live.start(), range.start()];
  await vi.advanceTimersByTimeAsync(0);
  return () => {
    stops.forEach((stop) => stop());
    vi.useRealTimers();
  };
});

const tick = (at: number) => host.emit({ event: 'tick', at_ms: at, values: [] });

it('a live picture ends now and moves with the ticks, by whole steps', () => {
  tick(NOW + 1000);
  const { from, to } = range.view;
  expect(to - from).toBe(3_600_000);
  expect(to).toBeGreaterThanOrEqual(NOW + 1000);
  tick(NOW + 1500);
  expect(range.view.to).toBe(to);
  tick(NOW + 7000);
  expect(range.view.to).toBeGreaterThan(to);
});

it('a paused picture stands still while the present goes on', () => {
  tick(NOW + 1000);
  range.pause();
  const { to } = range.view;
  tick(NOW + 67_000);
  expect(range.view.to).toBe(to);
  expect(range.live).toBe(false);
  expect(range.behind).toBe(NOW + 67_000 - to);
  range.toggle();
  expect(range.live).toBe(true);
  expect(range.view.to).toBeGreaterThan(to);
});

it('a zoom leaves live, and goes back the way it came', () => {
  tick(NOW);
  range.zoomTo({ from: NOW - 1_200_000, to: NOW - 600_000 });
  expect(range.live).toBe(false);
  expect(range.view).toEqual({ from: NOW - 1_200_000, to: NOW - 600_000 });
  range.zoomBy(0.5);
  expect(range.view.to - range.view.from).toBe(300_000);
  expect(range.back()).toBe(true);
  expect(range.view).toEqual({ from: NOW - 1_200_000, to: NOW - 600_000 });
  expect(range.back()).toBe(true);
  expect(range.live).toBe(true);
  expect(range.back()).toBe(false);
});

it('panning keeps the length and cannot reach the future', () => {
  tick(NOW);
  range.zoomTo({ from: NOW - 1_200_000, to: NOW - 600_000 });
  range.panBy(100_000);
  range.panBy(10_000_000);
  expect(range.view).toEqual({ from: NOW - 600_000, to: NOW });
});

it('a chosen range is kept, and one that was kept is taken up', async () => {
  range.choose('7d');
  await vi.advanceTimersByTimeAsync(600);
  const kept = host.calls.find((c) => c.command === 'remember');
  expect(kept?.args).toEqual({ key: 'window.range', value: '{"choice":"7d"}' });
  host.handlers.recall = () => '{"choice":"24h"}';
  stops.push(range.start());
  await vi.advanceTimersByTimeAsync(0);
  expect(range.choice).toBe('24h');
});

it('what was kept and makes no sense is left alone', async () => {
  host.handlers.recall = () => '{"choice":"3 weeks"}';
  stops.push(range.start());
  await vi.advanceTimersByTimeAsync(0);
  expect(range.choice).toBe('1h');
});

it('without ticks the clock goes on', async () => {
  tick(NOW);
  const { to } = range.view;
  await vi.advanceTimersByTimeAsync(20_000);
  expect(range.view.to).toBeGreaterThan(to);
});
