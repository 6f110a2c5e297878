// What a service's row says, from what is known of it. What is not known is a
// dash or a word, and never a zero. Pure.

import type { Service, ServiceKind, ServiceState } from '../bindings';
import { bytes, bytesAs, count, NONE, plural, span, text, type Quantity } from '../format';

export type Model = Service['models'][number];

export const KIND_LABELS: Record<ServiceKind, string> = {
  'llama-cpp': 'llama.cpp',
  vllm: 'vLLM',
  ollama: 'Ollama',
  sglang: 'SGLang',
  'lm-studio': 'LM Studio',
  'llama-cpp-python': 'llama-cpp-python',
  openai: 'OpenAI-compatible',
  redis: 'Redis',
  qdrant: 'Qdrant',
  milvus: 'Milvus',
  chroma: 'Chroma',
  'whisper-cpp': 'whisper.cpp',
  speaches: 'Speaches',
  mcp: 'MCP',
  http: 'HTTP',
};

/** How it is shown: that nobody runs it, or that it waits for its turn, is no fault. */
export type Look = ServiceState | 'stopped' | 'waiting';

export const STATE_WORDS: Record<Look, string> = {
  starting: 'starting',
  healthy: 'healthy',
  degraded: 'degraded',
  down: 'down',
  unknown: 'not watched',
  stopped: 'stopped',
  waiting: 'waiting',
};

export function lookOf({ state, run }: Pick<Service, 'state' | 'run'>): Look {
  switch (run?.state) {
    case 'stopped':
    case 'stopping':
      return 'stopped';
    case 'waiting':
      return 'waiting';
    case 'starting':
      return state === 'healthy' || state === 'degraded' ? state : 'starting';
    case 'restarting':
    case 'failed':
      return 'down';
    default:
      return state;
  }
}

// === filter

export type Only = 'all' | 'models' | 'stores' | 'other';

export const FILTERS: readonly [Only, string][] = [
  ['all', 'All'],
  ['models', 'Models'],
  ['stores', 'Stores'],
  ['other', 'Other'],
];

const STORES: readonly (ServiceKind | null)[] = ['redis', 'qdrant', 'milvus', 'chroma'];
const OTHERS: readonly (ServiceKind | null)[] = ['http', 'mcp', null];

export function groupOf(service: Pick<Service, 'kind'>): Exclude<Only, 'all'> {
  if (STORES.includes(service.kind)) return 'stores';
  return OTHERS.includes(service.kind) ? 'other' : 'models';
}

/** Those that are watched, or known and switched off; found ones stand apart. */
export function listed(services: readonly Service[], only: Only): Service[] {
  return services.filter((s) => s.origin !== 'proposed' && (only === 'all' || groupOf(s) === only));
}

/** Head of the list: `6 healthy, 1 degraded`, worst last, in the order of the states. */
export function tally(services: readonly Service[]): string {
  const order: Look[] = ['healthy', 'starting', 'waiting', 'stopped', 'degraded', 'down', 'unknown'];
  return order
    .map((look) => [look, services.filter((s) => lookOf(s) === look).length] as const)
    .filter(([, n]) => n > 0)
    .map(([look, n]) => `${n} ${STATE_WORDS[look]}`)
    .join(', ');
}

// === who and where

const PORTS: Readonly<Record<string, string>> = {
  'http:': '80',
  'https:': '443',
  'redis:': '6379',
  'rediss:': '6379',
};

/** Of this machine only the port: `:8080`; of others host and port. */
export function addressOf(url: string): string {
  let at: URL;
  try {
    at = new URL(url);
  } catch {
    return url;
  }
  const port = at.port || (PORTS[at.protocol] ?? '');
  const here = ['localhost', '127.0.0.1', '[::1]', '::1'].includes(at.hostname);
  return here ? `:${port}` : port ? `${at.hostname}:${port}` : at.hostname;
}

export function kindOf(service: Pick<Service, 'kind'>): string {
  return service.kind === null ? 'not known yet' : KIND_LABELS[service.kind];
}

/** `healthy for 46 min`. */
export function stateSince(service: Pick<Service, 'state' | 'since_ms' | 'run'>, now: number): string {
  const look = lookOf(service);
  const word = service.run?.state === 'stopping' ? 'stopping' : STATE_WORDS[look];
  const since = look === service.state ? service.since_ms : (service.run?.since_ms ?? 0);
  return since > 0 ? `${word} for ${span(Math.max(0, now - since))}` : word;
}

// === what it holds

/** Loaded ones first, otherwise as the server lists them. */
export function modelsOf(service: Pick<Service, 'models'>): Model[] {
  const rank = { loaded: 0, loading: 1, unknown: 2, unloaded: 3 };
  return [...service.models].sort((a, b) => rank[a.loaded] - rank[b.loaded]);
}

/** Two lines: what it serves, and more closely. */
export interface Holds {
  main: string;
  aside: string;
  tone: 'plain' | 'warn' | 'danger' | 'quiet';
}

const TONES: Partial<Record<Look, Holds['tone']>> = { starting: 'plain', degraded: 'warn', down: 'danger' };

export function holdsOf(service: Service, now: number): Holds {
  const { figures } = service;
  const look = lookOf(service);
  if (look !== 'healthy') {
    const main = service.run?.state === 'stopping' ? 'stopping' : STATE_WORDS[look];
    return { main, aside: whyOf(service, now), tone: TONES[look] ?? 'quiet' };
  }
  const plain = (main: string, aside: string): Holds => ({ main, aside, tone: 'plain' });
  if (figures.redis) {
    const { memory_used_bytes: used, memory_limit_bytes: limit, hit_percent: hits, clients } = figures.redis;
    const words = [
      hits === null ? '' : `${text(hits, 'percent')} hits`,
      clients === null ? '' : plural(clients, 'client'),
    ];
    return plain(
      used === null ? 'memory not known' : fillOf(used, limit),
      words.filter(Boolean).join(', ') || (limit === null ? 'no memory limit' : ''),
    );
  }
  if (figures.store) {
    const { collections, points } = figures.store;
    return plain(
      collections === null ? kindOf(service) : plural(collections, 'collection'),
      points === null ? '' : `${amount(points)} vectors`,
    );
  }
  if (groupOf(service) === 'models') return plain(...modelWords(service));
  const took = service.scrape_ms;
  return plain(took === null ? NONE : `answers in ${text(took, 'milliseconds')}`, '');
}

function modelWords(service: Service): [string, string] {
  const models = modelsOf(service);
  const held = models.filter((m) => m.loaded === 'loaded' || m.loaded === 'loading');
  const first = held[0] ?? models.find((m) => m.loaded === 'unknown');
  if (!first) {
    const known = plural(models.length, 'model');
    return models.length === 0 ? ['no model', 'it tells of none'] : ['no model loaded', `${known} on disk`];
  }
  const others = (held.includes(first) ? held.length : 1) - 1;
  const parts = [
    first.loaded === 'loading' ? 'loading' : '',
    first.quantization ?? '',
    first.context_tokens === null ? '' : `${amount(first.context_tokens, true)} tokens`,
    others > 0 ? `and ${others} more` : '',
  ];
  return [first.name, parts.filter(Boolean).join(', ')];
}

/** Why it is as it is, one sentence; empty where nothing is to be said. */
export function whyOf(service: Pick<Service, 'reason' | 'run' | 'state'>, now: number): string {
  const { run } = service;
  const reason = run?.reason || (run && lookOf(service) === 'stopped' ? '' : service.reason);
  if (run?.state !== 'restarting' || run.next_ms === null) return reason;
  const left = run.next_ms - now;
  const next = left < 1000 ? 'starts again' : `starts again in ${span(left)}`;
  return reason ? `${next}: ${reason}` : next;
}

/** `1.62 of 4.00 GiB`, or the size alone where nothing bounds it. */
export function fillOf(used: number, limit: number | null): string {
  if (limit === null) return text(used, 'bytes');
  const { value, unit } = bytes(limit);
  return `${bytesAs(used, unit)} of ${value} ${unit}`;
}

/** A count in short; `whole` up to 9999 in all its digits. */
export function amount(value: number, whole = false): string {
  if (whole && value < 10_000) return String(Math.round(value));
  const { value: number, unit } = count(value);
  return unit ? `${number} ${unit}` : number;
}

// === slots

export interface SlotWords {
  /** One square each: working or free; empty where they cannot be drawn. */
  squares: ('busy' | 'free')[];
  words: string;
  /** The same as a sentence. */
  label: string;
}

/** More squares than that are not counted by eye. */
const MOST_SQUARES = 8;

export function slotsOf(service: Pick<Service, 'slots' | 'figures'>): SlotWords | null {
  const { slots, figures } = service;
  const total = slots?.total ?? null;
  const busy = slots?.busy ?? figures.running;
  const waiting = slots?.waiting ?? figures.waiting;
  if (total === null && busy === null && waiting === null) return null;
  const queued = waiting ? `, ${amount(waiting)} queued` : '';
  const assumed = slots?.basis === 'assumed' && total !== null ? ' (assumed: the server does not tell)' : '';
  if (total === null) {
    const words = `${busy === null ? NONE : amount(busy)} running${queued}`;
    return { squares: [], words, label: words };
  }
  const words = `${busy === null ? '?' : amount(busy)} of ${total}${queued}`;
  const label = `${busy === null ? 'an unknown number' : amount(busy)} of ${plural(total, 'slot')} busy${queued}${assumed}`;
  const squares =
    busy === null || total > MOST_SQUARES
      ? []
      : Array.from({ length: total }, (_, i) => (i < busy ? ('busy' as const) : ('free' as const)));
  return { squares, words, label };
}

// === rate

export interface Rate {
  metric: string;
  /** `null`: not known now. */
  quantity: Quantity | null;
}

/** The one figure that says how much it works, and the series that holds its past. */
export function rateOf(service: Pick<Service, 'kind' | 'figures'>): Rate | null {
  const { figures } = service;
  const rate = (metric: string, value: number | null, unit: string): Rate => {
    if (value === null) return { metric, quantity: null };
    const q = value < 999.5 ? { value: rateDigits(value), unit: '' } : count(value);
    return { metric, quantity: { value: q.value, unit: q.unit ? `${q.unit} ${unit}` : unit } };
  };
  switch (groupOf(service)) {
    case 'stores':
      return service.kind === 'redis'
        ? rate('redis.ops', figures.redis?.ops_per_s ?? null, 'ops/s')
        : rate('store.requests', figures.store?.requests_per_s ?? null, 'req/s');
    case 'models':
      return figures.generated_tokens_per_s === null && figures.finished_per_s !== null
        ? rate('service.requests.finished', figures.finished_per_s, 'req/s')
        : rate('service.tokens.generated', figures.generated_tokens_per_s, 'tok/s');
    case 'other':
      return null;
  }
}

/** Whole from 10 on; below it what three digits would only pretend to know is one decimal. */
function rateDigits(value: number): string {
  if (value === 0) return '0';
  return value >= 9.95 ? value.toFixed(0) : value >= 0.095 ? value.toFixed(1) : '< 0.1';
}

export { vramOf } from './vram';
