import { expect, it } from 'vitest';

import type { SeriesInfo } from '../../lib/bindings';
import { tokens } from '../settings/toml';
import { chartsOf, exploreOf, MOST_CHARTS } from './charts';
import { some } from '../../lib/services/testing';
import { tomlOf } from './toml';

const info = (metric: string, subject: string, more: Partial<SeriesInfo> = {}): SeriesInfo => ({
  key: { metric, subject },
  label: metric,
  subject_kind: 'service',
  kind: 'gauge',
  unit: 'count',
  cadence_ms: 1000,
  last_ms: null,
  last: null,
  ...more,
});

it('charts are what the history holds of this service', () => {
  const series = [
    info('service.tokens.generated', 'chat', { kind: 'counter' }),
    info('service.requests.waiting', 'chat'),
    info('service.requests.running', 'chat'),
    info('service.kv.used', 'embed'),
    info('service.rss', 'chat', { unit: 'bytes' }),
  ];
  const lanes = chartsOf({ id: 'chat' }, series);
  expect(lanes.map((l) => l.title)).toEqual(['Generated, tok/s', 'Requests', 'RAM']);
  expect(lanes[1]?.items.map((i) => i.name)).toEqual(['running', 'queued']);
  expect(lanes[2]?.unit).toBe('bytes');
  expect(exploreOf(lanes[0]!)).toBe('?series=service.tokens.generated&subject=chat');
  expect(chartsOf({ id: 'gone' }, series)).toEqual([]);
});

it('a plain service shows how fast it answers, a model server more than that', () => {
  const plain = [info('service.scrape.time', 'web'), info('service.rss', 'web')];
  expect(chartsOf({ id: 'web' }, plain).map((l) => l.title)).toEqual(['RAM', 'Look at it']);
  const much = ['service.tokens.generated', 'service.tokens.prompt', 'service.kv.used', 'service.rss'];
  const server = [...much, 'service.scrape.time', 'service.cpu', 'service.vram', 'service.preemptions'].map(
    (metric) => info(metric, 'chat'),
  );
  const titles = chartsOf({ id: 'chat' }, server).map((l) => l.title);
  expect(titles).toHaveLength(MOST_CHARTS);
  expect(titles).not.toContain('Look at it');
});

it('the lines of a found service are TOML, its address quoted', () => {
  const lines = tomlOf(some('ollama', { kind: 'ollama', name: 'My "own"', url: 'http://127.0.0.1:11434' }));
  expect(lines).toBe(
    '[services.ollama]\nurl = "http://127.0.0.1:11434"\nkind = "ollama"\nname = "My \\"own\\""\n',
  );
  expect(tomlOf(some('x', { kind: null }))).not.toContain('kind');
  expect(tokens(lines.split('\n')[0] ?? '')).toEqual([{ kind: 'head', text: '[services.ollama]' }]);
  expect(tomlOf({ ...some('x'), key_file: '/k' })).toContain('key_file = "/k"');
});
