// What runs on the invented machine: two model servers and one for speech, two
// stores, a service that says it is not well; two that were found and wait. With
// `?fake=ailing` much of it fails at once.

import type { Mark, Service } from '../../bindings';
import { GIB, mix, type Fn } from './noise';
import type { FakeSeries } from './series';

export interface Lately {
  gpu: boolean;
  ailing: boolean;
  start: number;
}

const MINUTE = 60_000;

const FIGURES: Service['figures'] = {
  running: null,
  waiting: null,
  finished_per_s: null,
  prompt_tokens_per_s: null,
  generated_tokens_per_s: null,
  kv_used_percent: null,
  preemptions_per_s: null,
  prefix_hit_percent: null,
  ttft: null,
  itl: null,
  queue: null,
  e2e: null,
  redis: null,
  store: null,
};

const latency = (p50_ms: number, p95_ms: number, count: number): Service['figures']['ttft'] => ({
  p50_ms,
  p95_ms,
  p99_ms: count >= 299 ? p95_ms * 1.6 : null,
  count,
  window_ms: 300_000,
});

const model = (name: string, more: Partial<Service['models'][number]> = {}): Service['models'][number] => ({
  name,
  loaded: 'loaded',
  quantization: null,
  context_tokens: null,
  size_bytes: null,
  vram_bytes: null,
  gpu_share: null,
  expires_ms: null,
  ...more,
});

/** How much a service works, by the name of its series. */
const RATES: Record<string, [metric: string, label: string, at: Fn]> = {
  chat: ['service.tokens.generated', 'Generated tokens', mix(61, 178, 30, 26, 20, 260)],
  embed: ['service.tokens.generated', 'Generated tokens', mix(62, 2100, 300, 260, 100, 4000)],
  whisper: ['service.requests.finished', 'Requests finished', () => 0],
  redis: ['redis.ops', 'Redis commands', mix(63, 412, 90, 60, 10, 2000)],
  qdrant: ['store.requests', 'Store requests', mix(64, 38, 9, 8, 0, 200)],
};

export function servicesOf({ gpu, ailing, start }: Lately): Service[] {
  const now = Date.now();
  const vram = (gib: number) => (gpu ? gib * GIB : null);
  const rate = (id: string) => RATES[id]?.[2](now) ?? null;
  const one = (id: string, port: number, more: Partial<Service>): Service => ({
    id,
    name: id,
    kind: 'http',
    url: `http://127.0.0.1:${port}`,
    origin: 'configured',
    state: 'healthy',
    reason: '',
    since_ms: start - 46 * MINUTE,
    version: null,
    models: [],
    slots: null,
    figures: FIGURES,
    holder: null,
    checked_ms: now,
    scrape_ms: 6,
    hints: [],
    actions: { load: false, unload: false },
    vram: null,
    run: null,
    ...more,
  });
  const holder = (
    pid: number,
    name: string,
    rss: number,
    cpu: number,
    held: number | null,
  ): Service['holder'] => ({
    pids: [pid],
    name,
    container: null,
    started_ms: start - 47 * MINUTE,
    cpu_percent: cpu,
    rss_bytes: rss * GIB,
    vram_bytes: held,
  });
  const down = (reason: string): Partial<Service> => ({
    state: 'down',
    reason,
    since_ms: start - 3 * MINUTE,
    figures: FIGURES,
    models: [],
    slots: null,
    holder: null,
    checked_ms: start - 3 * MINUTE,
    scrape_ms: null,
  });
  return [
    one('chat', 8080, {
      kind: 'llama-cpp',
      version: 'b9931',
      models: [
        model('Qwen2.5-14B-Instruct', {
          quantization: 'Q4_K_M',
          context_tokens: 8192,
          size_bytes: 8.4 * GIB,
          vram_bytes: vram(8.4),
          gpu_share: gpu ? 1 : 0,
        }),
      ],
      slots: { total: 4, busy: 4, waiting: 2, basis: 'told' },
      figures: {
        ...FIGURES,
        running: 4,
        waiting: 2,
        generated_tokens_per_s: rate('chat'),
        prompt_tokens_per_s: 940,
        kv_used_percent: 64,
        ttft: latency(310, 812, 640),
        itl: latency(21.4, 34, 52_000),
      },
      holder: holder(4121, 'llama-server', 1.9, 112, vram(15.5)),
      ...(ailing && down('it refuses the connection on 127.0.0.1:8080')),
    }),
    one('embed', 8081, {
      kind: 'llama-cpp',
      version: 'b9931',
      models: [
        model('bge-m3', {
          quantization: 'F16',
          context_tokens: 1024,
          size_bytes: 1.1 * GIB,
          vram_bytes: vram(ailing ? 0.4 : 1.1),
          gpu_share: gpu ? (ailing ? 0.36 : 1) : 0,
        }),
      ],
      slots: { total: 8, busy: 1, waiting: 0, basis: 'told' },
      figures: { ...FIGURES, running: 1, waiting: 0, generated_tokens_per_s: rate('embed') },
      holder: holder(4188, 'llama-server', 0.6, 8, vram(1.6)),
      hints: ailing
        ? [
            {
              id: 'on-the-cpu',
              level: 'warning',
              text: 'Two thirds of bge-m3 run on the CPU.',
              advice: 'Free 0.7 GiB of VRAM, or load it with fewer layers on purpose.',
            },
          ]
        : [],
    }),
    one('whisper', 8010, {
      kind: 'speaches',
      origin: 'accepted',
      version: '0.8.3',
      since_ms: start - 300 * MINUTE,
      models: [
        model('whisper-large-v3', { quantization: 'int8_float16', size_bytes: 1.6 * GIB }),
        model('whisper-small', { loaded: 'unloaded', size_bytes: 0.5 * GIB }),
      ],
      slots: { total: 1, busy: 0, waiting: null, basis: 'assumed' },
      figures: { ...FIGURES, finished_per_s: 0 },
      holder: holder(2207, 'python3', 2.2, 0, vram(2.6)),
      ...(ailing && {
        state: 'starting',
        reason: 'it loads a model since 14:31',
        since_ms: start - 40_000,
        models: [model('whisper-large-v3', { loaded: 'loading', size_bytes: 1.6 * GIB })],
      }),
    }),
    one('redis', 6379, {
      kind: 'redis',
      url: 'redis://127.0.0.1:6379',
      version: '7.2.4',
      since_ms: start - 5 * 24 * 60 * MINUTE,
      figures: {
        ...FIGURES,
        redis: {
          memory_used_bytes: 1.62 * GIB,
          memory_limit_bytes: 4 * GIB,
          memory_rss_bytes: 1.8 * GIB,
          fragmentation_bytes: 0.18 * GIB,
          hit_percent: 93,
          evicted_per_s: 0,
          ops_per_s: rate('redis'),
          clients: 14,
          blocked: 0,
        },
      },
      holder: holder(988, 'redis-server', 1.8, 3, null),
    }),
    one('qdrant', 6333, {
      kind: 'qdrant',
      version: '1.15.1',
      figures: {
        ...FIGURES,
        store: { collections: 4, points: 1_210_000, requests_per_s: rate('qdrant') },
      },
      holder: holder(1201, 'qdrant', 3.4, 6, null),
      ...(ailing && {
        state: 'degraded',
        reason: 'it answers 401 on /collections: it wants a key',
        since_ms: start - 12 * MINUTE,
        figures: FIGURES,
      }),
    }),
    one('sandbox', 8003, {
      state: 'degraded',
      reason: 'no /health, answers on / in 6 ms',
      since_ms: start - 17 * MINUTE,
      holder: holder(6200, 'python3', 0.1, 0, null),
      hints: [
        {
          id: 'no-health',
          level: 'advice',
          text: 'This service has no health path.',
          advice: 'Let it answer `/health` with 200 while it is well.',
        },
      ],
    }),
    one('ollama', 11_434, { kind: 'ollama', origin: 'proposed', state: 'unknown', checked_ms: null }),
    one('chroma', 8000, { kind: 'chroma', origin: 'proposed', state: 'unknown', checked_ms: null }),
  ];
}

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
  return list;
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
