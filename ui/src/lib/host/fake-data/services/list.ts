// What runs on the invented machine: three model servers that Plimsoll starts itself and one
// that it found, two stores, a service that says it is not well. With `?fake=ailing` much of it
// fails at once.

import type { Service } from '../../../bindings';
import { GIB } from '../noise';
import { CHAT_COMMAND, VISION_COMMAND } from './commands';
import { model, NO_FIGURES, run, some, split } from './parts';
import { RATES, type Lately } from './series';

const MINUTE = 60_000;

const latency = (p50_ms: number, p95_ms: number, count: number): Service['figures']['ttft'] => ({
  p50_ms,
  p95_ms,
  p99_ms: count >= 299 ? p95_ms * 1.6 : null,
  count,
  window_ms: 300_000,
});

export function servicesOf({ gpu, ailing, start }: Lately): Service[] {
  const now = Date.now();
  const vram = (gib: number) => (gpu ? gib * GIB : null);
  const rate = (id: string) => RATES[id]?.[2](now) ?? null;
  const one = (id: string, port: number, more: Partial<Service>): Service =>
    some(id, {
      url: `http://127.0.0.1:${port}`,
      since_ms: start - 46 * MINUTE,
      checked_ms: now,
      scrape_ms: 6,
      ...more,
    });
  const holder = (
    pids: number[],
    name: string,
    rss: number,
    cpu: number,
    held: number | null,
    container: string | null = null,
  ): Service['holder'] => ({
    pids,
    name,
    container,
    started_ms: start - 47 * MINUTE,
    cpu_percent: cpu,
    rss_bytes: rss * GIB,
    vram_bytes: held,
  });
  const down = (reason: string): Partial<Service> => ({
    state: 'down',
    reason,
    since_ms: start - 3 * MINUTE,
    figures: NO_FIGURES,
    models: [],
    slots: null,
    holder: null,
    checked_ms: now - 4000,
    scrape_ms: null,
    vram: null,
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
        ...NO_FIGURES,
        running: 4,
        waiting: 2,
        generated_tokens_per_s: rate('chat'),
        prompt_tokens_per_s: 940,
        kv_used_percent: 64,
        ttft: latency(310, 812, 640),
        itl: latency(21.4, 34, 52_000),
      },
      holder: holder([4121], 'llama-server', 1.9, 112, vram(15.5)),
      vram: gpu ? split(15.5, 8.4, 6.0) : null,
      run: run({
        since_ms: start - 46 * MINUTE,
        restarts: 1,
        planned_vram_bytes: 15.3 * GIB,
        command: CHAT_COMMAND,
      }),
      ...(ailing && {
        ...down('it refuses the connection on 127.0.0.1:8080'),
        run: run({
          state: 'restarting',
          reason: 'it ended with signal 9, 3 times within 5 min: the system may have run out of memory',
          since_ms: start - 3 * MINUTE,
          pid: null,
          restarts: 3,
          next_ms: now + 12_000 - ((now - start) % 16_000),
          planned_vram_bytes: 15.3 * GIB,
          command: CHAT_COMMAND,
        }),
      }),
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
      figures: { ...NO_FIGURES, running: 1, waiting: 0, generated_tokens_per_s: rate('embed') },
      holder: holder([4188], 'llama-server', 0.6, 8, vram(ailing ? 0.9 : 1.6)),
      vram: gpu ? split(ailing ? 0.9 : 1.6, ailing ? 0.4 : 1.1, null, 'assumed') : null,
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
        model('Systran/faster-distil-whisper-large-v3.5-with-a-long-name', {
          quantization: 'int8_float16',
          size_bytes: 1.6 * GIB,
          vram_bytes: vram(1.6),
          gpu_share: gpu ? 1 : 0,
          expires_ms: now + 9 * MINUTE,
        }),
        model('Systran/faster-whisper-small', { loaded: 'unloaded', size_bytes: 0.5 * GIB }),
      ],
      actions: { load: true, unload: true },
      slots: { total: 1, busy: 0, waiting: null, basis: 'assumed' },
      figures: { ...NO_FIGURES, finished_per_s: 0 },
      holder: holder([2207, 2208], 'python3', 2.2, 14, vram(2.6), 'whisper'),
      vram: gpu ? split(2.6, 1.6, null, 'assumed') : null,
      ...(ailing && {
        state: 'starting',
        reason: 'it loads a model since 14:31',
        since_ms: start - 40_000,
        models: [model('whisper-large-v3', { loaded: 'loading', size_bytes: 1.6 * GIB })],
      }),
    }),
    one('vision', 8082, {
      kind: 'vllm',
      state: 'down',
      since_ms: start - 170 * MINUTE,
      checked_ms: null,
      scrape_ms: null,
      reason: '',
      run: run({
        state: 'stopped',
        reason: '',
        since_ms: start - 170 * MINUTE,
        pid: null,
        planned_vram_bytes: 7.2 * GIB,
        command: VISION_COMMAND,
      }),
    }),
    one('redis', 6379, {
      kind: 'redis',
      url: 'redis://127.0.0.1:6379',
      version: '7.2.4',
      since_ms: start - 5 * 24 * 60 * MINUTE,
      figures: {
        ...NO_FIGURES,
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
      holder: holder([988], 'redis-server', 1.8, 3, null),
    }),
    one('qdrant', 6333, {
      kind: 'qdrant',
      version: '1.15.1',
      figures: {
        ...NO_FIGURES,
        store: { collections: 4, points: 1_210_000, requests_per_s: rate('qdrant') },
      },
      holder: holder([1201], 'qdrant', 3.4, 6, null, 'qdrant'),
      ...(ailing && {
        state: 'degraded',
        reason: 'it answers 401 on /collections: it wants a key',
        since_ms: start - 12 * MINUTE,
        figures: NO_FIGURES,
      }),
    }),
    one('sandbox', 8003, {
      state: 'degraded',
      reason: 'no /health, answers on / in 6 ms',
      since_ms: start - 17 * MINUTE,
      holder: holder([6200], 'python3', 0.1, 0, null),
      hints: [
        {
          id: 'no-health',
          level: 'advice',
          text: 'This service has no health path.',
          advice: 'Let it answer `/health` with 200 while it is well.',
        },
      ],
    }),
  ];
}

/** What an Ollama has on its disk: more than are shown at once, one of them in memory. */
export const ollamaModels = (): Service['models'] =>
  [
    ['qwen3-coder:30b-a3b-q4_K_M', 17.4],
    ['hf.co/unsloth/DeepSeek-R1-Distill-Qwen-32B-GGUF:Q4_K_M', 18.5],
    ['llama3.2:3b', 1.9],
    ['nomic-embed-text:latest', 0.26],
    ['gemma3:12b', 7.6],
    ['phi4:14b', 8.4],
    ['mistral-small3.1:24b', 14.4],
    ['granite3.3:8b', 4.6],
  ].map(([name, gib]) => {
    const held = name === 'llama3.2:3b';
    const size = Number(gib) * GIB;
    return model(String(name), {
      loaded: held ? 'loaded' : 'unloaded',
      quantization: 'Q4_K_M',
      size_bytes: size,
      ...(held && { vram_bytes: 0.36 * size, gpu_share: 0.36, expires_ms: Date.now() + 4 * MINUTE }),
    });
  });

/** Found on it, and waiting for a person. */
export function proposals(): Service[] {
  const found = (id: string, name: string, kind: NonNullable<Service['kind']>, port: number): Service =>
    some(id, {
      name,
      kind,
      url: `http://127.0.0.1:${port}`,
      origin: 'proposed',
      state: 'unknown',
      since_ms: 0,
    });
  return [found('ollama', 'ollama', 'ollama', 11_434), found('chroma', 'docs-index', 'chroma', 8000)];
}
