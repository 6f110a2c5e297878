// What an invented service is made of, also for tests.

import type { Service } from '../../../bindings';
import { GIB } from '../noise';

export const NO_FIGURES: Service['figures'] = {
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

/** A healthy one of which nothing more is known. */
export function some(id: string, more: Partial<Service> = {}): Service {
  return {
    id,
    name: id,
    kind: 'http',
    url: 'http://127.0.0.1:8080',
    origin: 'configured',
    state: 'healthy',
    reason: '',
    since_ms: 1000,
    version: null,
    models: [],
    slots: null,
    figures: NO_FIGURES,
    holder: null,
    checked_ms: null,
    scrape_ms: null,
    hints: [],
    actions: { load: false, unload: false },
    vram: null,
    run: null,
    ...more,
  };
}

export const model = (
  name: string,
  more: Partial<Service['models'][number]> = {},
): Service['models'][number] => ({
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

export const run = (more: Partial<NonNullable<Service['run']>> = {}): NonNullable<Service['run']> => ({
  state: 'running',
  reason: '',
  since_ms: 1000,
  pid: 4121,
  restarts: 0,
  next_ms: null,
  planned_vram_bytes: null,
  command: ['llama-server', '-m', 'model.gguf'],
  ...more,
});

/** Parts of its VRAM in GiB; what they leave of the whole is other. */
export const split = (
  total: number,
  weights: number | null,
  kv: number | null,
  basis: 'told' | 'assumed' = 'told',
): NonNullable<Service['vram']> => ({
  total_bytes: total * GIB,
  weights_bytes: weights === null ? null : weights * GIB,
  kv_bytes: kv === null ? null : kv * GIB,
  other_bytes: Math.max(0, total - (weights ?? 0) - (kv ?? 0)) * GIB,
  basis,
});
