// The charts of a service's detail: its normalised figures, as lanes of Explore. Pure.

import type { SeriesInfo, Service, Unit } from '../../lib/bindings';
import { keyOf } from '../../lib/chart/feed.svelte';
import { unitOf, type Lane } from '../explore/lanes';

interface Chart {
  title: string;
  /** Metric and its name in the head, where there are several. */
  traces: readonly (readonly [metric: string, name: string])[];
}

/** In the order in which they are read: how much, how long, how full, what it takes. */
const CHARTS: readonly Chart[] = [
  { title: 'Generated, tok/s', traces: [['service.tokens.generated', '']] },
  { title: 'Prompt, tok/s', traces: [['service.tokens.prompt', '']] },
  {
    title: 'Requests',
    traces: [
      ['service.requests.running', 'running'],
      ['service.requests.waiting', 'queued'],
    ],
  },
  { title: 'KV cache used', traces: [['service.kv.used', '']] },
  { title: 'First token, mean', traces: [['service.latency.ttft', '']] },
  { title: 'Between tokens, mean', traces: [['service.latency.itl', '']] },
  { title: 'Request, mean', traces: [['service.latency.e2e', '']] },
  { title: 'Preemptions, 1/s', traces: [['service.preemptions', '']] },
  { title: 'Commands, 1/s', traces: [['redis.ops', '']] },
  {
    title: 'Look-ups, 1/s',
    traces: [
      ['redis.hits', 'hits'],
      ['redis.misses', 'misses'],
    ],
  },
  {
    title: 'Memory',
    traces: [
      ['redis.memory.used', 'used'],
      ['redis.memory.rss', 'held'],
    ],
  },
  { title: 'Evicted, 1/s', traces: [['redis.evicted', '']] },
  { title: 'Requests, 1/s', traces: [['store.requests', '']] },
  { title: 'Vectors', traces: [['store.points', '']] },
  { title: 'VRAM', traces: [['service.vram', '']] },
  { title: 'RAM', traces: [['service.rss', '']] },
  { title: 'CPU, 100 % is one core', traces: [['service.cpu', '']] },
  { title: 'Look at it', traces: [['service.scrape.time', '']] },
];

/** A plain service has no figures of its own: how fast it answers is what there is. */
const PLAIN = 'service.scrape.time';
/** More than these need a page of their own: Explore has them all. */
export const MOST_CHARTS = 6;

/** Only what the history holds of it: a chart that can never have a line is none. */
export function chartsOf(service: Pick<Service, 'id'>, series: readonly SeriesInfo[]): Lane[] {
  const known = new Map(series.map((s) => [keyOf(s.key), s]));
  const lanes = CHARTS.flatMap(({ title, traces }): Lane[] => {
    const items = traces.flatMap(([metric, name], i) => {
      const info = known.get(keyOf({ metric, subject: service.id }));
      return info ? [{ info, name, color: i === 0 ? '--s1' : '--s3' }] : [];
    });
    const first = items[0];
    if (!first) return [];
    const unit: Unit = unitOf(first.info);
    return [{ id: first.info.key.metric, title, unit, items }];
  });
  const figures = lanes.filter((lane) => lane.id !== PLAIN);
  return (figures.length > 2 ? figures : lanes).slice(0, MOST_CHARTS);
}

/** Address of the same in Explore. */
export function exploreOf(lane: Lane): string {
  const key = lane.items[0]?.info.key;
  return `?${new URLSearchParams({ series: key?.metric ?? '', subject: key?.subject ?? '' }).toString()}`;
}
