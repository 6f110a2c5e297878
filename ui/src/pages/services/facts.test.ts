import { expect, it } from 'vitest';

import { factsOf } from './facts';
import { NO_FIGURES, some } from '../../lib/services/testing';

const of = (service: Parameters<typeof factsOf>[0], name: string) =>
  factsOf(service, 10_000).find((fact) => fact.name === name);

it('what is not known has no line at all', () => {
  const names = factsOf(some('x', { checked_ms: null }), 10_000).map((fact) => fact.name);
  expect(names).toEqual(['Server', 'Address']);
});

it('percentiles say which they are, and the highest only where it is one', () => {
  const ttft = { p50_ms: 310, p95_ms: 812, p99_ms: null, count: 40, window_ms: 300_000 };
  const service = some('x', { figures: { ...NO_FIGURES, ttft } });
  expect(of(service, 'First token')).toMatchObject({
    value: '310 ms',
    more: 'p50; p95 812 ms',
    title: 'Of 40 in 5 min',
  });
});

it('tells where it came from, and when it was looked at', () => {
  expect(of(some('x', { origin: 'accepted' }), 'Address')?.more).toBe('found here');
  expect(of(some('x', { checked_ms: 9500 }), 'Looked at')?.value).toBe('just now');
  expect(of(some('x', { checked_ms: 5000, scrape_ms: 6 }), 'Looked at')).toMatchObject({
    value: '5 s ago',
    more: 'took 6.0 ms',
  });
});

it('an assumed number of slots is said to be one', () => {
  const slots = { total: 1, busy: 0, waiting: null, basis: 'assumed' as const };
  expect(of(some('x', { slots }), 'Slots')).toMatchObject({ value: '0 of 1', more: 'assumed' });
});
