// What a managed service writes, line by line as the time goes on.

import type { OutputLine, Service, ServiceOutput } from '../../../bindings';

const EVERY_MS = 700;
const WORDS = [
  'slot launch_slot_: id  2 | task 51423 | processing task',
  'slot update_slots: id  2 | task 51423 | prompt processing progress, n_past = 812, progress = 1.000000',
  'slot print_timing: id  2 | task 51423 | prompt eval time =  310.42 ms /  812 tokens (2615.81 tokens per second)',
  'slot print_timing: id  2 | task 51423 |        eval time = 5493.10 ms /  256 tokens (  46.60 tokens per second)',
  'slot      release: id  2 | task 51423 | stop processing: n_past = 1067, truncated = 0',
  'srv  log_server_r: request: POST /v1/chat/completions 127.0.0.1 200',
];
const START = [
  'ggml_cuda_init: found 1 CUDA devices: NVIDIA GeForce RTX 4090, compute capability 8.9',
  'llama_model_loader: loaded meta data with 29 key-value pairs and 579 tensors',
  'load_tensors: offloaded 49/49 layers to GPU',
  'llama_kv_cache: size = 6144.00 MiB (8192 cells, 48 layers, 4/4 seqs)',
  'main: server is listening on http://127.0.0.1:8080',
];

export function outputOf(service: Service, lines: number, start: number): ServiceOutput {
  const began = start - 60_000;
  const file = `/home/mara/.local/share/plimsoll/services/${service.id}.log`;
  if (!service.run || service.run.state === 'waiting') return { lines: [], file: null };
  const until = service.run.pid === null ? start : Date.now();
  const written = START.length + Math.floor((until - began) / EVERY_MS);
  const all = Array.from({ length: written }, (_, i): OutputLine => {
    return { number: i + 1, at_ms: began + i * EVERY_MS, text: START[i] ?? WORDS[i % WORDS.length] ?? '' };
  });
  return { lines: all.slice(-lines), file };
}
