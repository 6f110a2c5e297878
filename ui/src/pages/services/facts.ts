// What is known of a service beside its charts, as names and values. Pure.

import type { Service } from '../../lib/bindings';
import { NONE, span, text } from '../../lib/format';
import { amount, fillOf, kindOf, slotsOf } from '../../lib/services/words';

export interface Fact {
  name: string;
  value: string;
  /** Small and grey behind the value. */
  more: string;
  /** Set in the type of numbers. */
  mono: boolean;
  title?: string;
}

const ORIGINS: Record<Service['origin'], string> = {
  configured: '',
  accepted: 'found here',
  proposed: 'found here, not watched',
};

const LATENCIES = [
  ['ttft', 'First token'],
  ['itl', 'Next token'],
  ['queue', 'In its queue'],
  ['e2e', 'Request'],
] as const;

const ms = (value: number) => text(value, 'milliseconds');

export function factsOf(service: Service, now: number): Fact[] {
  const { figures, checked_ms, scrape_ms, kind } = service;
  const facts: Fact[] = [];
  const add = (name: string, value: string, more = '', rest: Partial<Fact> = {}) =>
    facts.push({ name, value, more, mono: false, ...rest });
  const numbers = { mono: true };

  add('Server', kindOf(service), service.version ?? '');
  add('Address', service.url, ORIGINS[service.origin], { mono: true, title: service.url });
  if (checked_ms !== null) {
    const ago = Math.max(0, now - checked_ms);
    const took = scrape_ms === null ? '' : `took ${ms(scrape_ms)}`;
    add('Looked at', ago < 2000 ? 'just now' : `${span(ago)} ago`, took);
  }
  const slots = slotsOf(service);
  if (slots) add('Slots', slots.words, service.slots?.basis === 'assumed' ? 'assumed' : '');
  if (figures.kv_used_percent !== null) {
    const hits = figures.prefix_hit_percent;
    const more = hits === null ? '' : `${text(hits, 'percent')} of prompts found in it`;
    add('KV cache', text(figures.kv_used_percent, 'percent'), more, numbers);
  }
  for (const [id, name] of LATENCIES) {
    const latency = figures[id];
    if (!latency) continue;
    const tail = latency.p99_ms === null ? '' : `, p99 ${ms(latency.p99_ms)}`;
    add(name, ms(latency.p50_ms), `p50; p95 ${ms(latency.p95_ms)}${tail}`, {
      mono: true,
      title: `Of ${amount(latency.count)} in ${span(latency.window_ms)}`,
    });
  }
  if (figures.redis) redisFacts(figures.redis, add);
  if (figures.store) {
    const { collections, points, requests_per_s: rate } = figures.store;
    if (collections !== null) add('Collections', amount(collections), '', numbers);
    if (points !== null) {
      add(kind === 'chroma' ? 'Records' : 'Vectors', amount(points), '', numbers);
    }
    if (rate !== null) add('Requests', `${amount(rate)}/s`, '', numbers);
  }
  return facts;
}

function redisFacts(
  redis: NonNullable<Service['figures']['redis']>,
  add: (name: string, value: string, more?: string, rest?: Partial<Fact>) => void,
) {
  const numbers = { mono: true };
  const { memory_used_bytes: used, memory_limit_bytes: limit, fragmentation_bytes: lost } = redis;
  if (used !== null) {
    const words = [limit === null ? 'no limit' : '', lost === null ? '' : `${text(lost, 'bytes')} unused`];
    add('Memory', fillOf(used, limit), words.filter(Boolean).join(', '), numbers);
  }
  const { hit_percent: hits, evicted_per_s: evicted, clients, blocked } = redis;
  if (hits !== null || evicted !== null) {
    const more = evicted === null ? '' : `${amount(evicted)} evicted a second`;
    add('Hits', hits === null ? NONE : text(hits, 'percent'), more, numbers);
  }
  if (clients !== null) add('Clients', amount(clients), blocked ? `${amount(blocked)} blocked` : '', numbers);
}
