// What the sampler makes of the invented services, and what happened to them.

import type { Mark } from '../../../bindings';
import { GIB, mix, type Fn } from '../noise';
import type { FakeSeries } from '../series';

export interface Lately {
  gpu: boolean;
  ailing: boolean;
  start: number;
}

const MINUTE = 60_000;

/** How much a service works, by the name of its series. */
export const RATES: Record<string, [metric: string, label: string, at: Fn]> = {
  chat: ['service.tokens.generated', 'Generated tokens', mix(61, 178, 30, 26, 20, 260)],
  embed: ['service.tokens.generated', 'Generated tokens', mix(62, 2100, 300, 260, 100, 4000)],
  whisper: ['service.requests.finished', 'Requests finished', () => 0],
  redis: ['redis.ops', 'Redis commands', mix(63, 412, 90, 60, 10, 2000)],
  qdrant: ['store.requests', 'Store requests', mix(64, 38, 9, 8, 0, 200)],
};

/** The series that the sampler makes of them. */
export function serviceSeries({ gpu, ailing, start }: Lately): FakeSeries[] {
  const list: FakeSeries[] = [];
  const add = (
    metric: string,
    label: string,
    unit: FakeSeries['unit'],
    at: Fn,
    subject: string,
    cadence = 1000,
    counter = false,
  ) => list.push({ metric, subject, label, kind: 'service', unit, cadence, counter, at });
  const whisperFell = (t: number) => t > start - 39 * MINUTE && t < start - 36 * MINUTE;
  for (const id of ['chat', 'embed', 'whisper', 'redis', 'qdrant', 'sandbox']) {
    add(
      'service.up',
      'Up',
      'flag',
      (t) =>
        (id === 'whisper' && whisperFell(t)) || (id === 'chat' && ailing && t > start - 3 * MINUTE) ? 0 : 1,
      id,
    );
    add('service.scrape.time', 'Scrape time', 'milliseconds', mix(id.length + 70, 6, 2, 2, 1, 80), id);
  }
  for (const [id, [metric, label, at]] of Object.entries(RATES))
    add(metric, label, 'count', at, id, 1000, true);
  add('service.tokens.prompt', 'Prompt tokens', 'count', mix(65, 940, 300, 300, 0, 4000), 'chat', 1000, true);
  add('service.requests.running', 'Requests running', 'count', mix(66, 3.4, 0.6, 0.4, 0, 4), 'chat');
  add('service.requests.waiting', 'Requests waiting', 'count', mix(67, 1.2, 1.5, 1, 0, 9), 'chat');
  add('service.kv.used', 'KV cache used', 'percent', mix(68, 64, 14, 6, 0, 100), 'chat');
  add('service.latency.ttft', 'Time to first token', 'milliseconds', mix(69, 330, 120, 80, 40, 2000), 'chat');
  const sizes: [string, number, number, number][] = [
    ['chat', 1.9, 15.5, 112],
    ['embed', 0.6, 1.6, 8],
    ['whisper', 2.2, 2.6, 0.4],
    ['redis', 1.8, 0, 3],
    ['qdrant', 3.4, 0, 6],
    ['sandbox', 0.1, 0, 0.1],
  ];
  for (const [id, rss, vram, cpu] of sizes) {
    add('service.rss', 'RSS', 'bytes', mix(id.length + 80, rss * GIB, 0.02 * GIB, 0, 0, 64 * GIB), id, 5000);
    if (gpu && vram) add('service.vram', 'VRAM', 'bytes', () => vram * GIB, id, 5000);
    add('service.cpu', 'CPU', 'percent', mix(id.length + 90, cpu, cpu / 6, cpu / 6, 0, 1600), id, 5000);
  }
  const memory = mix(101, 1.62 * GIB, 0.03 * GIB, 0, 0, 4 * GIB);
  add('redis.memory.used', 'Redis memory used', 'bytes', memory, 'redis', 5000);
  add('redis.memory.rss', 'Redis memory held', 'bytes', (t) => memory(t) + 0.18 * GIB, 'redis', 5000);
  add('redis.memory.limit', 'Redis memory limit', 'bytes', () => 4 * GIB, 'redis', 5000);
  add('redis.hits', 'Redis hits', 'count', mix(102, 380, 80, 50, 0, 2000), 'redis', 5000, true);
  add('redis.misses', 'Redis misses', 'count', mix(103, 28, 8, 6, 0, 200), 'redis', 5000, true);
  add('store.points', 'Points stored', 'count', () => 1_210_000, 'qdrant', 5000);
  // Who does not answer tells nothing: a gap, and no zero.
  const silent = (t: number) => ailing && t > start - 3 * MINUTE;
  return list.map((s) =>
    s.subject === 'chat' && s.metric !== 'service.up'
      ? { ...s, at: (t: number) => (silent(t) ? NaN : s.at(t)) }
      : s,
  );
}

/** What happened to them. */
export function serviceMarks({ ailing, start }: Lately): Mark[] {
  const mark = (id: number, ago: number, kind: Mark['kind'], subject: string, title: string): Mark => ({
    id,
    at_ms: start - ago * MINUTE,
    end_ms: null,
    kind,
    subject,
    title,
    detail: '',
    reference: `service:${subject}`,
  });
  const list = [
    mark(101, 46, 'restart', 'chat', 'chat started again'),
    mark(102, 39, 'service', 'whisper', 'whisper is down: it refuses the connection'),
    mark(103, 36, 'service', 'whisper', 'whisper is up again after 3 min'),
    mark(104, 17, 'service', 'sandbox', 'sandbox is degraded: no /health'),
  ];
  if (ailing) {
    list.push(
      mark(105, 12, 'service', 'qdrant', 'qdrant is degraded: it answers 401 on /collections'),
      mark(106, 3, 'service', 'chat', 'chat is down: it refuses the connection on 127.0.0.1:8080'),
    );
  }
  return list;
}
