import { beforeEach, expect, it, vi } from 'vitest';

import type { Alert } from '../bindings';
import { CallError } from '../host/types';
import { fakeHost, type FakeHost } from '../host/fake';

let host: FakeHost;
let session: (typeof import('./session.svelte'))['session'];
let live: (typeof import('./live.svelte'))['live'];
let stops: (() => void)[];

const alert = (id: string, end: number | null, start = 0): Alert => ({
  row: {
    id,
    rule: id,
    subject: '',
    severity: 'warning',
    title: id,
    start_ms: start,
    end_ms: end,
    peak: null,
    threshold: null,
  },
  value: null,
  unit: null,
  advice: '',
  acknowledged_ms: null,
  snoozed_until_ms: null,
});

beforeEach(async () => {
  vi.useFakeTimers();
  vi.resetModules();
  const door = await import('../host');
  host = fakeHost({
    alerts: () => [],
    'alerts.rules': () => [],
    config: () => ({ path: '', text: '', revision: 1, digest: '', problems: [], settings: [] }),
  });
  door.useHost(host);
  ({ live } = await import('./live.svelte'));
  ({ session } = await import('./session.svelte'));
  stops = [live.start(), session.start()];
  await vi.advanceTimersByTimeAsync(0);
  return () => {
    stops.forEach((stop) => stop());
    vi.useRealTimers();
  };
});

const count = (command: string) => host.calls.filter((c) => c.command === command).length;

it('says why Plimsoll cannot be reached, and stops saying so when it answers', async () => {
  expect(session.fault?.code).toBe('unavailable');
  host.handlers.about = () => {
    throw new CallError({
      code: 'protocol',
      message: 'The window is older than Plimsoll.',
      hint: 'Restart it.',
    });
  };
  host.handlers.status = host.handlers.about as never;
  await session.reload();
  expect(session.fault?.message).toBe('The window is older than Plimsoll.');
});

it('asks again for what an event says has changed', async () => {
  const alerts = count('alerts');
  const config = count('config');
  host.handlers.alerts = () => [alert('a', null, 1), alert('b', 5), alert('c', null, 9)];
  host.emit({ event: 'alerts' });
  await vi.advanceTimersByTimeAsync(0);
  expect(count('alerts')).toBe(alerts + 1);
  expect(session.active.map((a) => a.row.id)).toEqual(['c', 'a']);
  host.emit({ event: 'config', revision: 2 });
  await vi.advanceTimersByTimeAsync(0);
  expect(count('config')).toBe(config + 1);
});

it('asks for the status every few seconds, but not while nobody looks', async () => {
  const before = count('status');
  await vi.advanceTimersByTimeAsync(10_000);
  expect(count('status')).toBe(before + 2);
  Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => 'hidden' });
  document.dispatchEvent(new Event('visibilitychange'));
  await vi.advanceTimersByTimeAsync(30_000);
  expect(count('status')).toBe(before + 2);
  Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => 'visible' });
  document.dispatchEvent(new Event('visibilitychange'));
});

it('a setting of another type than expected is the fallback', async () => {
  host.handlers.config = () => ({
    path: '',
    text: '',
    revision: 1,
    digest: '',
    problems: [],
    settings: [
      {
        key: 'window.theme',
        spec: 'window.theme',
        value: 'light',
        default: 'system',
        origin: { from: 'default' },
      },
      {
        key: 'power.price_per_kwh',
        spec: 'power.price_per_kwh',
        value: 'much',
        default: 0.3,
        origin: { from: 'default' },
      },
    ],
  });
  await session.reload();
  expect(session.setting('window.theme', 'system')).toBe('light');
  expect(session.setting('power.price_per_kwh', 0.3)).toBe(0.3);
});

it('states of sources come with the stream', () => {
  host.emit({
    event: 'sources',
    sources: [{ name: 'gpu', state: 'lost', reason: 'The GPU fell off the bus', since_ms: 1, last_ms: 1 }],
  });
  expect(session.source('gpu')?.reason).toBe('The GPU fell off the bus');
});
