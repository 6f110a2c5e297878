// With what the invented machine's own services are started.

const MODELS = '/srv/models';

export const CHAT_COMMAND = [
  '/usr/local/bin/llama-server',
  '-m',
  `${MODELS}/Qwen2.5-14B-Instruct-Q4_K_M.gguf`,
  '--port',
  '8080',
  '-c',
  '32768',
  '-np',
  '4',
  '-ngl',
  '99',
  '-fa',
  'on',
  '--metrics',
];

export const VISION_COMMAND = [
  '/opt/vllm/bin/vllm',
  'serve',
  'Qwen/Qwen2.5-VL-7B-Instruct-AWQ',
  '--port',
  '8082',
  '--max-model-len',
  '16384',
  '--gpu-memory-utilization',
  '0.3',
];
