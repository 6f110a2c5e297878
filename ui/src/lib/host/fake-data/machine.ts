// The invented workstation itself: what it is, and how its watcher is.

import type { About, SourceStatus, Status } from '../../bindings';
import { GIB, MIB } from './noise';
import { GPU } from './series';

export const about = (gpu: boolean, start: number, first: boolean): About => ({
  version: '0.1.0',
  protocol: 1,
  pid: 7001,
  started_ms: start - 42 * 60_000,
  data_dir: '/home/mara/.local/share/plimsoll-demo',
  config_path: '/home/mara/.config/plimsoll/plimsoll.toml',
  socket: '/run/user/1000/plimsoll/demo.sock',
  ui: null,
  simulated: true,
  machine: {
    hostname: 'atlas',
    os: 'Debian GNU/Linux 12',
    kernel: '6.1.0',
    cpu_model: 'AMD Ryzen 9 7950X 16-Core Processor',
    cores: 8,
    memory_bytes: 62.7 * GIB,
    container: null,
  },
  gpu: gpu
    ? {
        uuid: GPU,
        name: 'NVIDIA GeForce RTX 4090',
        driver_version: '560.35',
        cuda_version: '12.6',
        nvml_version: '12.560',
        vram_total_bytes: 24 * GIB,
        slowdown_celsius: 83,
        shutdown_celsius: 92,
        power_limit_watts: 360,
        graphics_clock_max_mhz: 3105,
        memory_clock_max_mhz: 10_501,
        sm_clock_max_mhz: 3105,
        pcie_generation_max: 4,
        pcie_width_max: 16,
        throttle_reasons: [],
        missing: [],
        others: [],
      }
    : null,
  first_start: first,
});

const sources = (gpu: boolean, start: number): SourceStatus[] => [
  { name: 'system', state: 'healthy', reason: '', since_ms: start, last_ms: Date.now() },
  gpu
    ? { name: 'gpu', state: 'healthy', reason: '', since_ms: start, last_ms: Date.now() }
    : {
        name: 'gpu',
        state: 'absent',
        reason: 'No NVIDIA driver on this machine: libnvidia-ml.so was not found',
        since_ms: start,
        last_ms: null,
      },
  { name: 'processes', state: 'healthy', reason: '', since_ms: start, last_ms: Date.now() },
];

/** `series` is 0 where nothing was recorded yet; `paused` says why nothing is recorded now. */
export const status = (gpu: boolean, start: number, series: number, paused: string | null): Status => ({
  at_ms: Date.now(),
  interval_ms: 1000,
  series,
  series_limit: 2000,
  recording: paused === null ? 'recording' : 'paused',
  recording_reason: paused,
  history_bytes: series === 0 ? 0 : 1.38 * GIB,
  history_limit_bytes: 4 * GIB,
  oldest_ms: series === 0 ? null : start - 41 * 86_400_000,
  self_cpu_percent: 0.6,
  self_rss_bytes: 84 * MIB,
  active_alerts: 0,
  sources: sources(gpu, start),
  gateway: null,
  gateway_trouble: null,
  gateway_overhead_us: null,
  config_trouble: null,
});
