import { describe, expect, it } from 'vitest';

import type { Service } from '../bindings';
import { some, model, NO_FIGURES, run } from './testing';
import {
  addressOf,
  FILTERS,
  groupOf,
  holdsOf,
  KIND_LABELS,
  listed,
  lookOf,
  modelsOf,
  rateOf,
  slotsOf,
  stateSince,
  tally,
  whyOf,
} from './words';

const GIB = 2 ** 30;
const figures = (more: Partial<Service['figures']>) => ({ ...NO_FIGURES, ...more });
const redis = (more: Partial<NonNullable<Service['figures']['redis']>>) => ({
  memory_used_bytes: null,
  memory_limit_bytes: null,
  memory_rss_bytes: null,
  fragmentation_bytes: null,
  hit_percent: null,
  evicted_per_s: null,
  ops_per_s: null,
  clients: null,
  blocked: null,
  ...more,
});

describe('who and where', () => {
  it('an address of this machine is its port, another one has its host', () => {
    expect(addressOf('http://127.0.0.1:8080')).toBe(':8080');
    expect(addressOf('http://localhost')).toBe(':80');
    expect(addressOf('http://[::1]:9000/v1')).toBe(':9000');
    expect(addressOf('https://gpu.lan')).toBe('gpu.lan:443');
    expect(addressOf('redis://10.0.0.2')).toBe('10.0.0.2:6379');
    expect(addressOf('rediss://10.0.0.2')).toBe('10.0.0.2:6379');
    expect(addressOf('rediss://localhost')).toBe(':6379');
    expect(addressOf('no address')).toBe('no address');
  });

  it('every kind belongs to one group, and proposals are in no list', () => {
    const kinds = Object.keys(KIND_LABELS) as NonNullable<Service['kind']>[];
    const all = kinds.map((kind) => some(kind, { kind }));
    const parts = FILTERS.filter(([id]) => id !== 'all').map(([id]) => listed(all, id).length);
    expect(parts.reduce((a, b) => a + b)).toBe(kinds.length);
    expect(groupOf({ kind: null })).toBe('other');
    expect(listed([some('x', { origin: 'proposed' })], 'all')).toEqual([]);
  });

  it('the head counts states, well ones first', () => {
    const states = ['down', 'healthy', 'degraded', 'healthy'] as const;
    expect(tally(states.map((state, i) => some(`s${i}`, { state })))).toBe('2 healthy, 1 degraded, 1 down');
    expect(tally([])).toBe('');
    expect(stateSince({ state: 'healthy', since_ms: 1, run: null }, 1 + 46 * 60_000)).toBe(
      'healthy for 46 min',
    );
  });
});

describe('how it is shown', () => {
  const ours = (state: Service['state'], of: Partial<NonNullable<Service['run']>>) =>
    some('x', { state, reason: 'it refuses the connection', run: run(of) });

  it('what was stopped, waits or starts is no fault', () => {
    expect(lookOf(ours('down', { state: 'stopped' }))).toBe('stopped');
    expect(lookOf(ours('unknown', { state: 'stopping' }))).toBe('stopped');
    expect(lookOf(ours('down', { state: 'waiting' }))).toBe('waiting');
    expect(lookOf(ours('down', { state: 'starting' }))).toBe('starting');
    expect(lookOf(ours('healthy', { state: 'starting' }))).toBe('healthy');
    for (const state of ['stopped', 'waiting', 'starting'] as const)
      expect(holdsOf(ours('down', { state }), 0).tone).not.toBe('danger');
  });

  it('what ended by itself is down, though it starts again', () => {
    expect(lookOf(ours('starting', { state: 'restarting' }))).toBe('down');
    expect(lookOf(ours('unknown', { state: 'failed' }))).toBe('down');
    const again = ours('down', { state: 'restarting', reason: 'exit code 1', next_ms: 9000 });
    expect(whyOf(again, 0)).toBe('starts again in 9 s: exit code 1');
    expect(whyOf(again, 8900)).toBe('starts again: exit code 1');
    // Its own reason says more than that of whoever looked at it.
    expect(whyOf(ours('down', { state: 'failed', reason: 'no such file' }), 0)).toBe('no such file');
    expect(whyOf(ours('down', { state: 'stopped' }), 0)).toBe('');
  });

  it('since when is told of what is shown', () => {
    const stopped = { ...ours('down', { state: 'stopped', since_ms: 60_001 }), since_ms: 1 };
    expect(stateSince(stopped, 120_001)).toBe('stopped for 1 min');
    expect(stateSince(some('x', { state: 'unknown', since_ms: 0 }), 5)).toBe('not watched');
    expect(tally([stopped, some('y')])).toBe('1 healthy, 1 stopped');
  });
});

describe('what it holds', () => {
  it('what is not well says so, with its reason', () => {
    const holds = holdsOf(some('a', { state: 'down', reason: 'refused on 127.0.0.1:8080' }), 0);
    expect(holds).toEqual({ main: 'down', aside: 'refused on 127.0.0.1:8080', tone: 'danger' });
    expect(holdsOf(some('a', { state: 'degraded' }), 0).tone).toBe('warn');
  });

  it('a model server shows what is loaded before what is not', () => {
    const service = some('a', {
      kind: 'ollama',
      models: [
        model('cold', { loaded: 'unloaded' }),
        model('warm', { quantization: 'Q4_K_M', context_tokens: 8192 }),
        model('other'),
      ],
    });
    expect(modelsOf(service).map((m) => m.name)).toEqual(['warm', 'other', 'cold']);
    expect(holdsOf(service, 0)).toMatchObject({ main: 'warm', aside: 'Q4_K_M, 8192 tokens, and 1 more' });
    expect(
      holdsOf(some('a', { kind: 'ollama', models: [model('x', { loaded: 'unloaded' })] }), 0),
    ).toMatchObject({ main: 'no model loaded', aside: '1 model on disk' });
  });

  it('Redis shows its memory against its limit', () => {
    const held = redis({ memory_used_bytes: 1.62 * GIB, memory_limit_bytes: 4 * GIB, hit_percent: 93 });
    const service = some('r', { kind: 'redis', figures: figures({ redis: held }) });
    expect(holdsOf(service, 0)).toMatchObject({ main: '1.62 of 4.00 GiB', aside: '93 % hits' });
    const open = some('r', {
      kind: 'redis',
      figures: figures({ redis: { ...held, memory_limit_bytes: null } }),
    });
    expect(holdsOf(open, 0).main).toBe('1.62 GiB');
    // Unknown is a word and never 0.
    const silent = some('r', { kind: 'redis', figures: figures({ redis: redis({}) }) });
    expect(holdsOf(silent, 0).main).toBe('memory not known');
  });

  it('a vector store counts its collections and vectors', () => {
    const store = { collections: 1, points: 1_210_000, requests_per_s: null };
    const service = some('q', { kind: 'qdrant', figures: figures({ store }) });
    expect(holdsOf(service, 0)).toMatchObject({ main: '1 collection', aside: '1.21 M vectors' });
  });
});

describe('slots and rate', () => {
  const slots = (more: Partial<NonNullable<Service['slots']>>) => ({
    slots: { total: null, busy: null, waiting: null, basis: 'told' as const, ...more },
    figures: NO_FIGURES,
  });

  it('draws a square a slot, and a number where they are too many', () => {
    expect(slotsOf(slots({ total: 4, busy: 3, waiting: 2 }))).toMatchObject({
      squares: ['busy', 'busy', 'busy', 'free'],
      words: '3 of 4, 2 queued',
    });
    expect(slotsOf(slots({ total: 64, busy: 12 }))).toMatchObject({ squares: [], words: '12 of 64' });
    expect(slotsOf(slots({ busy: 7 }))?.words).toBe('7 running');
  });

  it('an unknown number of busy slots is no zero, and assumed slots say so', () => {
    const unknown = slotsOf(slots({ total: 4 }));
    expect(unknown).toMatchObject({ squares: [], words: '? of 4' });
    expect(slotsOf(slots({ total: 1, busy: 0, basis: 'assumed' }))?.label).toContain('assumed');
    expect(slotsOf({ slots: null, figures: NO_FIGURES })).toBeNull();
  });

  it('one rate a kind, with the series that holds its past', () => {
    const rate = (service: Partial<Service>) => rateOf(some('x', service));
    expect(rate({ kind: 'llama-cpp', figures: figures({ generated_tokens_per_s: 2100 }) })).toEqual({
      metric: 'service.tokens.generated',
      quantity: { value: '2.10', unit: 'k tok/s' },
    });
    expect(rate({ kind: 'vllm', figures: figures({ generated_tokens_per_s: 0.04 }) })?.quantity?.value).toBe(
      '< 0.1',
    );
    expect(rate({ kind: 'speaches', figures: figures({ finished_per_s: 0 }) })).toEqual({
      metric: 'service.requests.finished',
      quantity: { value: '0', unit: 'req/s' },
    });
    expect(rate({ kind: 'redis' })).toEqual({ metric: 'redis.ops', quantity: null });
    expect(rate({ kind: 'http' })).toBeNull();
  });
});
