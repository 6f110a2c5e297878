// Invented requests: each with its own times, as programs of one workstation would send them.

import type { Endpoint, LiveRequest, Priority, RequestRow } from '../../../bindings';

const PER_MS = 4096;
export const idAt = (ms: number, n = 0): number => ms * PER_MS + n;

/** The same numbers on every start, in order. */
export function dice(seed: number): () => number {
  let x = seed | 0;
  return () => {
    x = (Math.imul(x, 1664525) + 1013904223) | 0;
    return (x >>> 8) / 2 ** 24;
  };
}

export interface Plan {
  id: number;
  at: number;
  client: string;
  priority: Priority;
  backend: string;
  model: string;
  endpoint: Endpoint;
  wait: number;
  prefill: number;
  decode: number;
  tokensIn: number;
  tokensOut: number;
  overheadUs: number;
  /** It ends otherwise than answered. */
  fate: 'answered' | 'refused' | 'left' | 'failed' | 'timed_out' | 'shut';
}

const CLIENTS: [name: string, priority: Priority, weight: number][] = [
  ['continue', 'interactive', 0.46],
  ['open-webui', 'interactive', 0.3],
  ['research-agent', 'batch', 0.2],
  ['n8n-nightly', 'batch', 0.02],
  ['cli', 'interactive', 0.02],
];

export function planAt(at: number, n: number, roll: () => number, failing: boolean): Plan {
  let pick = roll();
  const [client, priority] = CLIENTS.find(([, , weight]) => (pick -= weight) < 0) ?? CLIENTS[0]!;
  const embeds = client === 'open-webui' && roll() < 0.15;
  const tokensIn = Math.round(client === 'research-agent' ? 2000 + 4000 * roll() : 180 + 800 * roll());
  const tokensOut = embeds ? 0 : Math.round(client === 'continue' ? 40 + 60 * roll() : 100 + 300 * roll());
  const luck = roll();
  const fate: Plan['fate'] = failing
    ? luck < 0.55
      ? 'failed'
      : luck < 0.85
        ? 'shut'
        : luck < 0.9
          ? 'timed_out'
          : 'answered'
    : luck < 0.03
      ? 'refused'
      : luck < 0.06
        ? 'left'
        : luck < 0.07
          ? 'shut'
          : 'answered';
  return {
    id: idAt(at, n),
    at,
    client,
    priority,
    backend: fate === 'shut' && !failing ? 'laptop' : embeds ? 'embed' : 'chat',
    model: embeds ? 'bge-m3' : 'Qwen2.5-14B-Instruct',
    endpoint: embeds ? 'embeddings' : 'chat',
    wait: embeds || roll() < 0.55 ? 8 * roll() : 1400 * roll(),
    prefill: embeds ? 25 + 10 * roll() : 70 + tokensIn * 0.11,
    decode: embeds ? 0 : (tokensOut / 54) * 1000 * (0.9 + 0.2 * roll()),
    tokensIn,
    tokensOut,
    overheadUs: Math.round(420 + 380 * roll()),
    fate,
  };
}

/** Until when it runs. */
export function endOf(p: Plan): number {
  if (p.fate === 'refused' || p.fate === 'shut') return p.at;
  const whole = p.wait + p.overheadUs / 1000 + p.prefill + p.decode;
  if (p.fate === 'left') return p.at + p.wait + p.prefill + p.decode * 0.3;
  return p.at + (p.fate === 'failed' ? p.wait + 40 : whole);
}

const REASONS: Partial<Record<Plan['fate'], string>> = {
  refused: 'client limit: 1 at once, retry after 4 s',
  shut: 'breaker rejecting, retry after 18 s',
  failed: 'chat refuses the connection on 127.0.0.1:8080',
  timed_out: 'no first byte within 300 s',
};

export function rowOf(p: Plan): RequestRow {
  const stopped = p.fate === 'refused' || p.fate === 'shut';
  const spoke = p.fate === 'answered' || p.fate === 'left';
  const total = endOf(p) - p.at;
  const first = p.wait + p.overheadUs / 1000 + p.prefill;
  const tokensOut = p.fate === 'left' ? Math.round(p.tokensOut * 0.3) : p.tokensOut;
  return {
    id: p.id,
    at_ms: p.at,
    client: p.client,
    endpoint: p.endpoint,
    model: p.model,
    sent_model: null,
    route: null,
    backend: p.backend,
    priority: p.priority,
    stream: p.endpoint === 'chat',
    finish: p.fate === 'shut' ? 'refused' : p.fate,
    status: { answered: 200, left: 200, refused: 429, shut: 503, failed: 502, timed_out: 504 }[p.fate],
    reason: REASONS[p.fate] ?? '',
    wait_us: stopped ? 0 : Math.round(p.wait * 1000),
    overhead_us: p.overheadUs,
    ttft_us: spoke ? Math.round(first * 1000) : null,
    itl_p50_us: spoke && p.decode > 0 ? 18_400 : null,
    itl_p95_us: spoke && p.decode > 0 ? 24_900 : null,
    total_us: Math.round(stopped ? p.overheadUs : total * 1000),
    tokens_in: spoke ? p.tokensIn : null,
    tokens_out: spoke && p.endpoint === 'chat' ? tokensOut : null,
    retries: p.fate === 'failed' ? 1 : 0,
    shared: null,
    joules: spoke ? Math.round((total / 1000) * 240) : null,
  };
}

/** As it is under way; `place` is its place in the queue, where it waits. */
export function liveOf(p: Plan, now: number, place: number | null): LiveRequest {
  const first = p.wait + p.overheadUs / 1000 + p.prefill;
  const age = now - p.at;
  const phase = place !== null ? 'queued' : age < first ? 'prefill' : 'decode';
  return {
    id: p.id,
    at_ms: p.at,
    client: p.client,
    endpoint: p.endpoint,
    model: p.model,
    backend: p.backend,
    priority: p.priority,
    stream: p.endpoint === 'chat',
    phase,
    position: place,
    expected_wait_ms: place === null ? null : 700 * place,
    wait_us: Math.round((place === null ? p.wait : age) * 1000),
    overhead_us: p.overheadUs,
    ttft_us: phase === 'decode' ? Math.round(first * 1000) : null,
    tokens_in: p.tokensIn,
    tokens_out: phase === 'decode' ? Math.round(((age - first) / p.decode) * p.tokensOut) : 0,
    max_tokens: p.endpoint === 'chat' ? (p.client === 'continue' ? 256 : 512) : null,
    retries: 0,
  };
}
