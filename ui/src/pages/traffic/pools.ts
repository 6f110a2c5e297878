// Which backends are drawn with a card for each request, and what stands in their slots. Pure.

import type { LiveRequest, TrafficBackend } from '../../lib/bindings';
import { digits3 } from '../../lib/format';
import { waits } from './words';

/** More cards than this do not read; the rest is counted. */
export const MOST_CARDS = 8;
/** More cells than this are no slots any more, but a bar. */
export const MOST_CELLS = 24;
/** Cells of the queue: one stands for several where the queue is longer. */
export const QUEUE_CELLS = 32;

export interface Card {
  id: number;
  client: string;
  phase: 'prefill' | 'decode';
  /** How long it is in this phase. */
  since: string;
  tokens: string;
  of: string;
  /** 0 to 1; `null` where the end is not known. */
  share: number | null;
}

/** Tokens, as short as they are read: 142, 2.9 k, 388 k, 1.36 M. */
export function tokens(n: number): string {
  if (n < 1000) return String(n);
  if (n < 9950) return `${(n / 1e3).toFixed(1)} k`;
  if (n < 999_500) return `${Math.round(n / 1e3)} k`;
  return `${digits3(n / 1e6)} M`;
}

export function cardOf(r: LiveRequest, now: number): Card {
  const total = Math.max(0, now - r.at_ms);
  const first = r.ttft_us === null ? null : r.ttft_us / 1000;
  const before = (r.wait_us + r.overhead_us) / 1000;
  if (r.phase !== 'decode' || first === null) {
    return {
      id: r.id,
      client: r.client,
      phase: 'prefill',
      since: waits(Math.max(0, total - before)),
      tokens: r.tokens_in === null ? '' : tokens(r.tokens_in),
      of: r.tokens_in === null ? '' : 'to read',
      share: null,
    };
  }
  return {
    id: r.id,
    client: r.client,
    phase: 'decode',
    since: waits(Math.max(0, total - first)),
    tokens: tokens(r.tokens_out),
    of: r.max_tokens === null ? 'tok' : `of ${tokens(r.max_tokens)} tok`,
    share: r.max_tokens === null || r.max_tokens === 0 ? null : Math.min(1, r.tokens_out / r.max_tokens),
  };
}

/** What writes: of those a person wants to know how far they are. */
export const writes = (r: LiveRequest): boolean =>
  r.stream ||
  r.tokens_out > 0 ||
  ['chat', 'completions', 'responses', 'messages', 'ollama_chat', 'ollama_generate'].includes(r.endpoint);

export interface Pool {
  backend: TrafficBackend;
  /** Empty for a small one. */
  cards: Card[];
  /** In flight beyond the cards. */
  rest: number;
  /** Free slots; `null` where nothing bounds it. */
  free: number | null;
  large: boolean;
}

/** `large` are the ids of those that were seen to write: what was drawn large stays so. */
export function poolsOf(
  backends: readonly TrafficBackend[],
  live: readonly LiveRequest[],
  large: ReadonlySet<string>,
  now: number,
): Pool[] {
  return backends.map((backend) => {
    const isLarge = large.has(backend.id);
    const mine = live.filter((r) => r.backend === backend.id && r.phase !== 'queued');
    const cards = isLarge ? mine.slice(0, MOST_CARDS).map((r) => cardOf(r, now)) : [];
    const used = backend.in_flight + (backend.outside ?? 0);
    return {
      backend,
      cards,
      rest: Math.max(0, backend.in_flight - cards.length),
      free: backend.room === null ? null : Math.max(0, backend.room - used),
      large: isLarge,
    };
  });
}

/** How many of the queue's cells are filled, and how many there are. */
export function queueCells(queued: number, most: number): { cells: number; filled: number } {
  const cells = Math.max(1, Math.min(QUEUE_CELLS, most));
  const filled = queued === 0 || most === 0 ? 0 : Math.max(1, Math.round((queued / most) * cells));
  // Few of many: one cell for each reads better than a share that rounds to one.
  const few = queued <= cells / 2 ? queued : filled;
  return { cells, filled: Math.min(cells, Math.max(filled, few)) };
}
