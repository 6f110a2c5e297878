// What the page says about requests, backends and clients. Pure.

import type {
  ClientBasis,
  Endpoint,
  Finish,
  LiveRequest,
  RequestRow,
  RoomBasis,
  Traffic,
  TrafficBackend,
} from '../../lib/bindings';
import { plural, span } from '../../lib/format';
import { holding, holdsOf } from './gates';

export type Tone = 'plain' | 'acc' | 'warn' | 'danger' | 'quiet';
export const TONES: Record<Tone, string> = {
  plain: 't2',
  acc: 'c-acc',
  warn: 'c-warn',
  danger: 'c-danger',
  quiet: 't3',
};

/** Below so many the 95th percentile is no more than the largest. */
export const P95_NEEDS = 59;
/** A request that took this long is slow. */
export const SLOW_MS = 10_000;

export const FILTERS = [
  ['all', 'All', 'Every request'],
  ['slow', 'Slow', `Those that took ${SLOW_MS / 1000} s or longer`],
  ['refused', 'Refused', 'Those that Plimsoll did not let through'],
  ['errors', 'Errors', 'Those that failed, were broken off, or took too long'],
] as const;
export type Only = (typeof FILTERS)[number][0];

/** How the log is asked for them. */
export function askOf(only: Only): { finish: Finish[]; min_total_ms: number | null } {
  return {
    finish: only === 'refused' ? ['refused'] : only === 'errors' ? ['failed', 'timed_out'] : [],
    min_total_ms: only === 'slow' ? SLOW_MS : null,
  };
}

const FINISHES: Record<Exclude<Finish, 'answered' | 'refused' | 'failed'>, string> = {
  left: 'left',
  cancelled: 'cancelled',
  timed_out: 'timed out',
};

/** One word for how it is or ended. */
export function stateOf(r: LiveRequest | RequestRow): { word: string; tone: Tone } {
  if ('phase' in r) {
    if (r.phase === 'queued')
      return { word: r.position === null ? 'queued' : `queued ${r.position}`, tone: 'quiet' };
    return { word: r.phase, tone: 'acc' };
  }
  switch (r.finish) {
    case 'left':
    case 'cancelled':
      return { word: FINISHES[r.finish], tone: 'plain' };
    case 'timed_out':
      return { word: FINISHES[r.finish], tone: 'danger' };
    case 'failed':
      return { word: r.status === 0 || r.status < 400 ? 'failed' : String(r.status), tone: 'danger' };
    case 'refused':
      return { word: String(r.status), tone: r.status >= 500 ? 'danger' : 'warn' };
    case 'answered':
      return {
        word: String(r.status),
        tone: r.status >= 500 ? 'danger' : r.status >= 400 ? 'warn' : 'plain',
      };
  }
}

/** What stands behind its line; empty where nothing is to be said. */
export function noteOf(r: LiveRequest | RequestRow): string {
  const retried = r.retries > 0 ? `asked ${r.retries + 1} times` : '';
  if ('phase' in r) {
    if (r.phase !== 'queued') return retried;
    return r.expected_wait_ms === null ? '' : `about ${waits(r.expected_wait_ms)} to go`;
  }
  if (r.reason !== '') return r.reason;
  if (r.finish === 'left') return 'client left';
  if (r.finish === 'cancelled') return 'cancelled here';
  if (r.shared === 'hit') return 'from the cache';
  if (r.shared === 'joined') return 'answered with the same request';
  return retried;
}

/** A wait: `0.4 s`, `12 s`, `3 min`. */
export function waits(ms: number): string {
  return ms < 9950 ? `${(ms / 1000).toFixed(1)} s` : span(ms);
}

export const ENDPOINTS: Record<Endpoint, string> = {
  chat: 'chat',
  completions: 'completions',
  responses: 'responses',
  embeddings: 'embeddings',
  rerank: 'rerank',
  transcriptions: 'transcription',
  translations: 'translation',
  speech: 'speech',
  messages: 'messages (Anthropic)',
  ollama_chat: 'chat (Ollama)',
  ollama_generate: 'generate (Ollama)',
  ollama_embed: 'embed (Ollama)',
  other: 'another path',
};

export const BASES: Record<ClientBasis, string> = {
  key: 'known by its key',
  program: 'known by its program',
  user_agent: 'known by what it says of itself',
  unknown: 'it does not say who it is',
};

export const ROOMS: Record<RoomBasis, string> = {
  configured: 'set in the settings',
  told: 'told by its server',
  assumed: 'assumed for servers of its kind',
  adaptive: 'found by the adaptive limit',
};

/** `4 of 4 slots`, `12 in flight, no limit`. */
export function roomOf(b: TrafficBackend): { used: number; of: number | null } {
  return { used: b.in_flight + (b.outside ?? 0), of: b.room };
}

export interface Story {
  state: 'ok' | 'warn' | 'danger' | 'off';
  tag: string;
  words: string;
}

/** Plimsoll lets it run empty: no fault, and over in a moment. */
const restingWords = (b: TrafficBackend): string =>
  b.in_flight > 0 ? `nothing new, ${b.in_flight} still ${b.in_flight === 1 ? 'runs' : 'run'}` : 'nothing new';

export const RESTING =
  'It is being stopped, started anew or unloaded: it takes nothing new, and what runs there may end first.';

/** A breaker and what it did in the last half hour. */
export function storyOf(b: TrafficBackend, now: number): Story {
  if (b.resting) return { state: 'off', tag: 'Resting', words: restingWords(b) };
  const sum = b.story.reduce(
    (s, m) => ({
      all: s.all + m.answered + m.failed + m.refused,
      failed: s.failed + m.failed,
      refused: s.refused + m.refused,
    }),
    { all: 0, failed: 0, refused: 0 },
  );
  if (b.breaker.state === 'rejecting') {
    const wait = b.breaker.probe_ms === null ? null : b.breaker.probe_ms - now;
    const words =
      wait === null
        ? 'no probe yet'
        : wait <= 0
          ? 'the next one probes'
          : `next probe in ${span(wait + 999)}`;
    return { state: 'danger', tag: 'Rejecting', words };
  }
  if (b.breaker.state === 'probing') {
    const words = b.queued > 0 ? `1 probe out, ${b.queued} wait` : '1 probe out';
    return { state: 'warn', tag: 'Probing', words };
  }
  const n = (value: number) => value.toLocaleString('en-US');
  const words = sum.all === 0 ? 'no requests' : `${n(sum.failed)} of ${n(sum.all)} failed`;
  if (!b.up) return { state: 'danger', tag: 'Down', words };
  return { state: 'ok', tag: 'Passing', words };
}

export type Cell = 'none' | 'ok' | 'failed' | 'refused';

/** A minute: what went wrong in it counts more than what went well. */
export const cellOf = (m: { answered: number; failed: number; refused: number }): Cell =>
  m.failed > 0 ? 'failed' : m.refused > 0 ? 'refused' : m.answered > 0 ? 'ok' : 'none';

/** The same half hour for who cannot see it. */
export function storyAloud(b: TrafficBackend): string {
  const bad = b.story.filter((m) => m.failed > 0).length;
  const shut = b.story.filter((m) => m.refused > 0).length;
  const some = b.story.some((m) => cellOf(m) !== 'none');
  if (!some) return `nothing passed in ${plural(b.story.length, 'minute')}`;
  return `errors in ${bad}, refusals in ${shut} of ${plural(b.story.length, 'minute')}`;
}

/** `3 running requests did not come through Plimsoll`; empty where none is known. */
export function outsideOf(backends: readonly TrafficBackend[]): string {
  const those = backends.filter((b) => (b.outside ?? 0) > 0);
  const n = those.reduce((sum, b) => sum + (b.outside ?? 0), 0);
  if (n === 0) return '';
  const where = those.length === 1 ? ` (${those[0]!.name})` : '';
  return `${plural(n, 'running request')} did not come through Plimsoll${where}`;
}

/**
 * All that may run at once on the backends that were asked of late, on each where none was;
 * `null` where one of them has no known limit. Who is never asked makes no room for the others.
 */
export function slotsOf(backends: readonly TrafficBackend[], most: number): number | null {
  const up = backends.filter((b) => b.up && b.breaker.state !== 'rejecting');
  const asked = up.filter((b) => b.in_flight > 0 || b.story.some((m) => m.answered + m.failed > 0));
  const those = asked.length > 0 ? asked : up;
  if (those.length === 0) return null;
  const sum = those.reduce<number | null>((s, b) => (s === null || b.room === null ? null : s + b.room), 0);
  return sum === null ? null : Math.min(sum, most);
}

export interface Trouble {
  title: string;
  text: string;
  act: 'on' | 'address' | 'gates' | null;
}

/** The trouble over the whole page, with what to do; `null` while all is well. */
export function troubleOf(t: Traffic): Trouble | null {
  const gate = holding(t);
  if (gate && t.state === 'listening') return { ...holdsOf(gate), act: 'gates' };
  switch (t.state) {
    case 'off':
      return {
        title: 'The gateway is off',
        text: 'No request passes Plimsoll: nothing listens, servers are only watched.',
        act: 'on',
      };
    case 'failed':
      return { title: 'The gateway cannot listen', text: t.reason, act: 'address' };
    case 'draining':
      return {
        title: 'The gateway stops',
        text: 'What runs may end, nothing new is taken.',
        act: null,
      };
    case 'listening':
      // It may listen on one address and not on another.
      return t.reason === '' ? null : { title: 'One address is not served', text: t.reason, act: 'address' };
  }
}

/** Nothing has passed since the start, and nothing in the last hour before it. */
export const isIdle = (t: Traffic): boolean =>
  t.totals.ended === 0 && t.live.length === 0 && t.clients.length === 0;
