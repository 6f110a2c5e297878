// Requests, backends and clients for tests, of which a test says what it is about.

import type { LiveRequest, RequestRow, Traffic, TrafficBackend, TrafficClient } from '../../lib/bindings';

export const T0 = 1_795_000_000_000;
export const idOf = (ms: number, n = 0): number => (T0 + ms) * 4096 + n;

export const row = (ms: number, more: Partial<RequestRow> = {}): RequestRow => ({
  id: idOf(ms),
  at_ms: T0 + ms,
  client: 'open-webui',
  endpoint: 'chat',
  model: 'qwen',
  sent_model: null,
  route: null,
  backend: 'chat',
  priority: 'interactive',
  stream: true,
  finish: 'answered',
  status: 200,
  reason: '',
  wait_us: 100_000,
  overhead_us: 600,
  ttft_us: 300_000,
  itl_p50_us: 18_000,
  itl_p95_us: 25_000,
  total_us: 1_300_000,
  tokens_in: 412,
  tokens_out: 55,
  retries: 0,
  shared: null,
  joules: 240,
  ...more,
});

export const flying = (ms: number, more: Partial<LiveRequest> = {}): LiveRequest => ({
  id: idOf(ms),
  at_ms: T0 + ms,
  client: 'continue',
  endpoint: 'chat',
  model: 'qwen',
  backend: 'chat',
  priority: 'interactive',
  stream: true,
  phase: 'decode',
  position: null,
  expected_wait_ms: null,
  wait_us: 0,
  overhead_us: 600,
  ttft_us: 200_000,
  tokens_in: 200,
  tokens_out: 48,
  max_tokens: 256,
  retries: 0,
  ...more,
});

export const backend = (id: string, more: Partial<TrafficBackend> = {}): TrafficBackend => ({
  id,
  name: id,
  kind: 'llama-cpp',
  up: true,
  resting: false,
  room: 4,
  room_basis: 'told',
  in_flight: 0,
  outside: 0,
  queued: 0,
  longest_wait_ms: null,
  breaker: { state: 'passing', since_ms: T0, reason: '', probe_ms: null },
  story: Array.from({ length: 30 }, () => ({ answered: 1, failed: 0, refused: 0 })),
  ...more,
});

export const client = (name: string, more: Partial<TrafficClient> = {}): TrafficClient => ({
  name,
  basis: 'program',
  priority: 'interactive',
  in_flight: 0,
  queued: 0,
  requests: 100,
  refused: 0,
  failed: 0,
  tokens_in: 1000,
  tokens_out: 1000,
  backend_s: 10,
  joules: 1000,
  ttft_p95_ms: 580,
  last_ms: T0,
  ...more,
});

export const trafficOf = (more: Partial<Traffic> = {}): Traffic => ({
  at_ms: T0 + 10_000,
  state: 'listening',
  reason: '',
  addresses: ['127.0.0.1:1876'],
  totals: {
    in_flight: 0,
    queued: 0,
    queue_max: 64,
    requests_per_min: 24,
    refused_per_min: 0,
    overhead_p50_us: 400,
    overhead_p99_us: 600,
    ended: 1,
  },
  backends: [backend('chat')],
  clients: [client('open-webui')],
  live: [],
  bodies: [],
  gates: [],
  ...more,
});
