import { beforeEach, expect, it, vi } from 'vitest';

import type { Answer, Query, SeriesInfo } from '../bindings';
import { fakeHost, type FakeHost } from '../host/fake';
import { CallError } from '../host/types';

const NOW = new Date(2026, 10, 21, 15, 0, 0).getTime();
const CPU = { metric: 'cpu.busy', subject: '' };
let host: FakeHost;
let range: (typeof import('../state/range.svelte'))['range'];
let feed: InstanceType<(typeof import('./feed.svelte'))['Feed']>;
let stops: (() => void)[];

/** A line of ones, a point each 10 s, up to now. */
function ones(query: Query): Answer {
  const at: number[] = [];
  for (let t = Math.ceil(query.from_ms / 10_000) * 10_000; t < Math.min(query.to_ms, NOW); t += 10_000)
    at.push(t);
  const value = at.map(() => 1);
  return {
    from_ms: query.from_ms,
    to_ms: query.to_ms,
    series: query.series.map((key) => ({
      key,
      unit: 'percent',
      kind: 'gauge',
      level: 's10',
      step_ms: 10_000,
      points: { at_ms: at, min: value, mean: value, max: value },
    })),
  };
}

beforeEach(async () => {
  vi.useFakeTimers({ now: NOW });
  vi.resetModules();
  const door = await import('../host');
  host = fakeHost({ recall: () => null, remember: () => ({ message: '' }), 'history.query': ones });
  door.useHost(host);
  const { live } = await import('../state/live.svelte');
  ({ range } = await import('../state/range.svelte'));
  const { Feed } = await import('./feed.svelte');
  feed = new Feed();
  stops = [live.start(), range.start(), feed.start(['cpu.'])];
  await vi.advanceTimersByTimeAsync(0);
  return () => {
    stops.forEach((stop) => stop());
    vi.useRealTimers();
  };
});

const queries = () => host.calls.filter((c) => c.command === 'history.query').map((c) => c.args as Query);
const tick = (at: number, value: number) =>
  host.emit({ event: 'tick', at_ms: at, values: [{ ...CPU, value }] });

it('asks the history once, and grows by the stream after that', async () => {
  feed.show([CPU], 800);
  await vi.advanceTimersByTimeAsync(0);
  expect(queries().length).toBe(1);
  expect(queries()[0]?.width_px).toBe(896);
  for (let s = 1; s <= 120; s++) {
    tick(NOW + s * 1000, 5);
    feed.show([CPU], 800);
  }
  await vi.advanceTimersByTimeAsync(0);
  expect(queries().length).toBe(1);
  const { at, mean } = feed.trace(CPU).columns;
  expect(at.at(-1)).toBe(NOW + 120_000);
  expect(mean.at(-1)).toBe(5);
  expect(feed.value(CPU)).toBe(5);
});

it('asks anew for other series, another range or a much wider plot', async () => {
  feed.show([CPU], 800);
  await vi.advanceTimersByTimeAsync(0);
  feed.show([CPU], 820);
  feed.show([CPU, { metric: 'load.1m', subject: '' }], 820);
  range.choose('6h');
  feed.show([CPU, { metric: 'load.1m', subject: '' }], 820);
  feed.show([CPU, { metric: 'load.1m', subject: '' }], 1400);
  await vi.advanceTimersByTimeAsync(0);
  expect(queries().length).toBe(4);
});

it('a zoom asks when the hand rests, and does not grow', async () => {
  feed.show([CPU], 800);
  await vi.advanceTimersByTimeAsync(0);
  for (let i = 0; i < 5; i++) {
    range.zoomTo({ from: NOW - 900_000 - i * 1000, to: NOW - 300_000 });
    feed.show([CPU], 800);
  }
  await vi.advanceTimersByTimeAsync(100);
  expect(queries().length).toBe(2);
  const before = feed.trace(CPU).columns.at.length;
  tick(NOW + 1000, 7);
  expect(feed.trace(CPU).columns.at.length).toBe(before);
  expect(feed.value(CPU)).toBe(7);
});

it('only the answer to the last question counts', async () => {
  const answers: ((a: Answer) => void)[] = [];
  host.handlers['history.query'] = () => new Promise((resolve) => answers.push(resolve));
  feed.show([CPU], 800);
  await vi.advanceTimersByTimeAsync(0);
  range.choose('6h');
  feed.show([CPU], 800);
  await vi.advanceTimersByTimeAsync(0);
  const [first, second] = queries();
  if (first && second) {
    answers[1]?.(ones(second));
    await vi.advanceTimersByTimeAsync(0);
    const length = feed.trace(CPU).columns.at.length;
    answers[0]?.(ones(first));
    await vi.advanceTimersByTimeAsync(0);
    expect(feed.trace(CPU).columns.at.length).toBe(length);
    expect(length).toBe(2160);
  }
  expect(feed.loading).toBe(false);
});

it('a compared range is asked for in the past and stands on the axis of now', async () => {
  feed.show([CPU], 800, 86_400_000);
  await vi.advanceTimersByTimeAsync(0);
  const query = queries()[0];
  expect(query?.from_ms).toBe(range.view.from - 86_400_000);
  const { at } = feed.trace(CPU).columns;
  expect(at[0]).toBeGreaterThanOrEqual(range.view.from);
  tick(NOW + 1000, 9);
  expect(feed.trace(CPU).columns.mean.every((v) => v === 1)).toBe(true);
});

it('a fault is told, what is drawn stays, and asking again is possible', async () => {
  feed.show([CPU], 800);
  await vi.advanceTimersByTimeAsync(0);
  host.handlers['history.query'] = () => {
    throw new CallError({ code: 'unavailable', message: 'The history is busy.', hint: null });
  };
  range.choose('24h');
  feed.show([CPU], 800);
  await vi.advanceTimersByTimeAsync(0);
  expect(feed.fault?.message).toBe('The history is busy.');
  expect(feed.trace(CPU).columns.at.length).toBeGreaterThan(0);
  host.handlers['history.query'] = ones;
  feed.retry();
  await vi.advanceTimersByTimeAsync(0);
  expect(feed.fault).toBeNull();
});

it('missed messages mean asking again', async () => {
  feed.show([CPU], 800);
  await vi.advanceTimersByTimeAsync(0);
  host.emit({ event: 'missed', messages: 3 });
  await vi.advanceTimersByTimeAsync(0);
  expect(queries().length).toBe(2);
});

it('more series than one question holds are asked for in several', async () => {
  const many = Array.from({ length: 70 }, (_, i) => ({ metric: 'cpu.core.busy', subject: String(i) }));
  feed.show(many, 800);
  await vi.advanceTimersByTimeAsync(0);
  expect(queries().every((q) => q.series.length <= 4)).toBe(true);
  expect(queries().flatMap((q) => q.series)).toEqual(many);
});

it('a counter’s total is never shown as its rate', () => {
  const info: SeriesInfo = {
    key: { metric: 'disk.read', subject: 'nvme0n1' },
    label: 'Read',
    subject_kind: 'disk',
    kind: 'counter',
    unit: 'bytes',
    cadence_ms: 1000,
    last_ms: NOW,
    last: 9e12,
  };
  feed.know([info, { ...info, key: CPU, kind: 'gauge', last: 12 }]);
  expect(feed.value(info.key)).toBeNull();
  expect(feed.value(CPU)).toBe(12);
});

it('a paused picture keeps its numbers', async () => {
  feed.show([CPU], 800);
  await vi.advanceTimersByTimeAsync(0);
  tick(NOW + 1000, 3);
  range.pause();
  tick(NOW + 2000, 8);
  expect(feed.value(CPU)).toBe(3);
  range.goLive();
  tick(NOW + 3000, 9);
  expect(feed.value(CPU)).toBe(9);
  expect(feed.trace(CPU).newest).toBe(NOW + 3000);
});

it('a slow history shows each answer as it comes, and says how many there are', async () => {
  const keys = Array.from({ length: 12 }, (_, i) => ({ metric: 'core.busy', subject: String(i) }));
  const waiting: (() => void)[] = [];
  host.handlers['history.query'] = (query) =>
    new Promise((resolve) => waiting.push(() => resolve(ones(query))));
  feed.show(keys, 800);
  await vi.advanceTimersByTimeAsync(301);
  expect([feed.slow, feed.progress]).toEqual([true, { done: 0, total: 12 }]);
  waiting[0]?.();
  await vi.advanceTimersByTimeAsync(0);
  expect(feed.progress).toEqual({ done: 4, total: 12 });
  expect(feed.trace(keys[3]!).columns.at.length).toBeGreaterThan(0);
  expect(feed.trace(keys[4]!).columns.at.length).toBe(0);
  feed.cancel();
  waiting[1]?.();
  await vi.advanceTimersByTimeAsync(0);
  expect(feed.slow).toBe(false);
  expect(waiting.length).toBe(2);
  expect(feed.trace(keys[3]!).columns.at.length).toBeGreaterThan(0);
  expect(feed.trace(keys[4]!).columns.at.length).toBe(0);
});

it('a quick history is drawn once, however many questions it takes', async () => {
  const before = feed.version;
  feed.show(
    Array.from({ length: 12 }, (_, i) => ({ metric: 'core.busy', subject: String(i) })),
    800,
  );
  await vi.advanceTimersByTimeAsync(0);
  await vi.advanceTimersByTimeAsync(0);
  expect(queries().length).toBe(3);
  expect(feed.version).toBe(before + 1);
});
