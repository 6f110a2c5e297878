// Sums over the invented requests: the last hour by client, the last half hour by backend.

import type { KeyInfo, LiveRequest, StoryMinute, TrafficClient } from '../../../bindings';
import { rowOf, type Plan } from './rows';

const MINUTE = 60_000;
const P95_NEEDS = 59;

export function clientsOf(
  hour: readonly Plan[],
  live: readonly LiveRequest[],
  keys: readonly KeyInfo[],
): TrafficClient[] {
  const names = [...new Set([...hour, ...live].map((r) => r.client))];
  return names
    .map((name): TrafficClient => {
      const mine = hour.filter((p) => p.client === name);
      const rows = mine.map(rowOf);
      const now = live.filter((r) => r.client === name);
      const firsts = rows
        .flatMap((r) => (r.ttft_us === null ? [] : [r.ttft_us / 1000]))
        .sort((a, b) => a - b);
      const sum = (of: (r: (typeof rows)[number]) => number | null) =>
        rows.reduce((s, r) => s + (of(r) ?? 0), 0);
      return {
        name,
        basis: keys.some((k) => k.spec.name === name) ? 'key' : 'program',
        priority: mine.at(-1)?.priority ?? now[0]?.priority ?? 'interactive',
        in_flight: now.filter((r) => r.phase !== 'queued').length,
        queued: now.filter((r) => r.phase === 'queued').length,
        requests: rows.length,
        refused: rows.filter((r) => r.finish === 'refused').length,
        failed: rows.filter((r) => r.finish === 'failed' || r.finish === 'timed_out').length,
        tokens_in: sum((r) => r.tokens_in),
        tokens_out: sum((r) => r.tokens_out),
        backend_s: sum((r) => Math.max(0, r.total_us - r.wait_us) / 1e6),
        joules: sum((r) => r.joules),
        ttft_p95_ms: firsts.length < P95_NEEDS ? null : (firsts[Math.floor(firsts.length * 0.95)] ?? null),
        last_ms: mine.at(-1)?.at ?? 0,
      };
    })
    .sort((a, b) => b.backend_s - a.backend_s);
}

/** By minute, the oldest first; `failed` and `refused` are minutes in which all went wrong. */
export function storyOf(
  plans: readonly Plan[],
  backend: string,
  now: number,
  failed: [number, number] = [0, 0],
  refused: [number, number] = [0, 0],
): StoryMinute[] {
  const story = Array.from({ length: 30 }, (_, i): StoryMinute => {
    const within = ([from, to]: [number, number]) => i >= from && i < to;
    return {
      answered: failed[1] > 0 && i < failed[0] ? 3 : 0,
      failed: within(failed) ? 2 : 0,
      refused: within(refused) ? 4 : 0,
    };
  });
  for (const p of plans) {
    const minute = story[29 - Math.floor((now - p.at) / MINUTE)];
    if (p.backend !== backend || !minute) continue;
    if (p.fate === 'failed' || p.fate === 'timed_out') minute.failed += 1;
    else if (p.fate === 'shut') minute.refused += 1;
    else minute.answered += 1;
  }
  return story;
}
