// What passes the invented gateway, kept while the page is open: requests come and go, keys are
// made and revoked, one is cancelled. Variants by address: `?fake=idle`, `?fake=failing`,
// `?fake=port` (somebody else has the port), `?fake=off`; `?fake=empty` has no backend at all.

import type { KeyInfo, Live, RequestRow, Traffic, TrafficBackend } from '../../../bindings';
import type { Handlers } from '../../fake';
import { CallError } from '../../types';
import { clientsOf, storyOf } from './hour';
import { dice, endOf, liveOf, planAt, rowOf, type Plan } from './rows';
import { ROOM } from './series';

const MINUTE = 60_000;

export interface TrafficFake {
  start: number;
  variant: string;
  emit: (live: Live) => void;
}

const keyOf = (id: string, name: string, made_ms: number, used_ms: number | null): KeyInfo => ({
  id,
  begins: `plm-${id}`,
  spec: {
    name,
    priority: name === 'open-webui' ? 'interactive' : 'batch',
    models: name === 'open-webui' ? [] : ['chat'],
    scopes: [],
    max_in_flight: name === 'open-webui' ? 0 : 2,
    requests_per_min: 0,
    tokens_per_min: name === 'open-webui' ? 0 : 200_000,
  },
  made_ms,
  used_ms,
});

export function trafficAnswers({ start, variant, emit }: TrafficFake): Handlers {
  const nothing = variant === 'empty' || variant === 'idle' || variant === 'off' || variant === 'port';
  const failing = variant === 'failing';
  const roll = dice(7);
  /** Newest last. */
  const plans: Plan[] = [];
  const cancelled = new Map<number, number>();
  let next = start - 60 * MINUTE;
  let n = 0;
  let keys: KeyInfo[] = nothing
    ? []
    : [
        keyOf('Vk3r', 'open-webui', start - 30 * 86_400_000, start - 4000),
        keyOf('t9Qd', 'research-agent', start - 9 * 86_400_000, start - 9000),
      ];
  let bodies: Traffic['bodies'] = [];

  /** Requests go on coming, about 24 a minute. */
  function grow(now: number) {
    while (!nothing && next < now) {
      plans.push(planAt(Math.floor(next), n++ % 4096, roll, failing && next > start - 6 * MINUTE));
      next += 200 + 2900 * roll();
    }
    if (plans.length > 6000) plans.splice(0, 3000);
  }
  const until = (p: Plan) => Math.min(endOf(p), cancelled.get(p.id) ?? Infinity);
  const rowsUntil = (now: number): RequestRow[] =>
    plans
      .filter((p) => until(p) <= now)
      .map((p): RequestRow => {
        const row = rowOf(p);
        const at = cancelled.get(p.id);
        return at === undefined
          ? row
          : { ...row, finish: 'cancelled', total_us: Math.max(0, at - p.at) * 1000, tokens_out: null };
      })
      .sort((a, b) => b.id - a.id);

  function now(at: number): Traffic {
    grow(at);
    const under = plans.slice(-200).filter((p) => p.at <= at && until(p) > at);
    const chats = under.filter((p) => p.backend === 'chat');
    const waiting = new Set(chats.filter((p) => at - p.at < p.wait && chats.indexOf(p) >= ROOM));
    const queued = [...waiting];
    const live = under.map((p) => liveOf(p, at, waiting.has(p) ? queued.indexOf(p) + 1 : null));
    const hour = plans.filter((p) => p.at > at - 60 * MINUTE && until(p) <= at);
    const flying = (id: string) => live.filter((r) => r.backend === id && r.phase !== 'queued').length;
    const backend = (id: string, room: number, more: Partial<TrafficBackend> = {}): TrafficBackend => ({
      id,
      name: id,
      kind: 'llama-cpp',
      up: true,
      resting: false,
      room,
      room_basis: 'told',
      in_flight: flying(id),
      outside: 0,
      queued: live.filter((r) => r.backend === id && r.phase === 'queued').length,
      longest_wait_ms: null,
      breaker: { state: 'passing', since_ms: start, reason: '', probe_ms: null },
      story: storyOf(plans, id, at),
      ...more,
    });
    const longest = Math.max(-1, ...queued.map((p) => at - p.at));
    const backends: TrafficBackend[] =
      variant === 'empty'
        ? []
        : [
            backend('chat', ROOM, {
              longest_wait_ms: longest < 0 ? null : longest,
              ...(failing && {
                up: false,
                breaker: {
                  state: 'rejecting',
                  since_ms: start - 4 * MINUTE,
                  reason: '5 requests in a row failed',
                  probe_ms: at + 18_000 - ((at - start) % 18_000),
                },
              }),
            }),
            backend('embed', 8, { outside: variant === '' ? 3 : 0 }),
            backend('whisper', 1, { kind: 'speaches', room_basis: 'assumed' }),
            ...(nothing
              ? []
              : [
                  backend('sandbox', 4, {
                    kind: 'vllm',
                    breaker: {
                      state: 'probing',
                      since_ms: start - 13 * MINUTE,
                      reason: '5 requests in a row failed',
                      probe_ms: null,
                    },
                    story: storyOf([], 'sandbox', at, [14, 18], [18, 29]),
                  }),
                  backend('laptop', 1, {
                    kind: 'ollama',
                    room_basis: 'assumed',
                    breaker: {
                      state: 'rejecting',
                      since_ms: start - 3 * MINUTE,
                      reason: '5 requests in a row failed',
                      probe_ms: at + 18_000 - ((at - start) % 18_000),
                    },
                    story: storyOf([], 'laptop', at, [24, 28], [28, 30]),
                  }),
                ]),
          ];
    const state = variant === 'off' ? 'off' : variant === 'port' ? 'failed' : 'listening';
    const lately = hour.filter((p) => p.at > at - MINUTE);
    bodies = bodies.filter((b) => b.until_ms > at);
    return {
      at_ms: at,
      state,
      reason:
        state === 'failed'
          ? 'Port 1876 of 127.0.0.1 is taken: litellm (pid 8123) listens there since 09:12.'
          : '',
      addresses: state === 'listening' ? ['127.0.0.1:1876', '[::1]:1876'] : [],
      totals: {
        in_flight: live.length - queued.length,
        queued: queued.length,
        queue_max: 64,
        requests_per_min: lately.length,
        refused_per_min: lately.filter((p) => p.fate === 'refused' || p.fate === 'shut').length,
        overhead_p50_us: hour.length > 0 ? 430 : null,
        overhead_p99_us: hour.length > 0 ? 612 : null,
        ended: plans.filter((p) => until(p) <= at).length,
      },
      backends,
      clients: clientsOf(hour, live, keys),
      live,
      bodies,
      gates: [
        {
          gate: 'memory',
          enforced: false,
          closed: failing,
          value: failing ? 8 : 43,
          close: 10,
          met: failing ? 12 : 0,
          reason: failing ? 'only 8 % of memory is available, 10 % is the least' : '',
        },
        { gate: 'memory_stall', enforced: false, closed: false, value: 0.4, close: 10, met: 0, reason: '' },
        { gate: 'cpu', enforced: false, closed: false, value: 31, close: 95, met: 0, reason: '' },
        { gate: 'temperature', enforced: false, closed: false, value: 17, close: 5, met: 3, reason: '' },
      ],
    };
  }

  const missing = (message: string) => new CallError({ code: 'not_found', message, hint: null });
  return {
    traffic: () => now(Date.now()),
    requests: (ask) => {
      grow(Date.now());
      const fits = rowsUntil(Date.now()).filter(
        (r) =>
          (ask.before === null || r.id < ask.before) &&
          (ask.after === null || r.id > ask.after) &&
          (ask.client === null || r.client === ask.client) &&
          (ask.backend === null || r.backend === ask.backend) &&
          (ask.finish.length === 0 || ask.finish.includes(r.finish)) &&
          (ask.min_total_ms === null || r.total_us >= ask.min_total_ms * 1000),
      );
      const limit = ask.limit || 100;
      return { rows: fits.slice(0, limit), more: fits.length > limit };
    },
    'requests.cancel': ({ id }) => {
      const plan = plans.find((p) => p.id === id);
      if (!plan || until(plan) <= Date.now()) throw missing('This request has ended already.');
      cancelled.set(id, Date.now());
      setTimeout(() => emit({ event: 'traffic', at_ms: Date.now() }));
      return { message: `The request of ${plan.client} is cancelled` };
    },
    'requests.body': ({ id }) => {
      const plan = plans.find((p) => p.id === id);
      if (!plan || !bodies.some((b) => b.client === plan.client)) throw missing('Its text was not kept.');
      return {
        request: JSON.stringify(
          { model: plan.model, messages: [{ role: 'user', content: 'Say hello.' }] },
          null,
          2,
        ),
        answer: JSON.stringify({ choices: [{ message: { role: 'assistant', content: 'Hello!' } }] }, null, 2),
        cut: false,
      };
    },
    'gateway.bodies': ({ client, minutes }) => {
      bodies = bodies.filter((b) => b.client !== client);
      if (minutes > 0) bodies = [...bodies, { client, until_ms: Date.now() + minutes * MINUTE }];
      return { message: minutes > 0 ? `What ${client} sends is kept for ${minutes} min` : `Forgotten` };
    },
    'gateway.connect': () => ({
      local_url: 'http://127.0.0.1:1876/v1',
      container: {
        url: 'http://host.docker.internal:1876/v1',
        address: '172.17.0.1:1876',
        listening: false,
      },
      beyond: false,
      models:
        variant === 'empty'
          ? []
          : [
              { name: 'Qwen2.5-14B-Instruct', services: ['chat'], route: null, endpoint: 'chat' },
              { name: 'fast', services: ['chat', 'sandbox'], route: 'fast', endpoint: 'chat' },
              { name: 'bge-m3', services: ['embed'], route: null, endpoint: 'embeddings' },
              { name: 'large-v3-turbo', services: ['whisper'], route: null, endpoint: 'transcriptions' },
            ],
    }),
    'gateway.test': async ({ model, key }) => {
      await new Promise((done) => setTimeout(done, 462));
      const at = Date.now();
      const row = rowOf({
        ...planAt(at - 462, 4000, dice(3), false),
        client: key ? 'notebook' : 'plimsoll-desktop',
        model,
        wait: 212,
        prefill: 86,
        decode: 164,
        tokensIn: 14,
        tokensOut: 9,
        overheadUs: 600,
        fate: failing ? 'failed' : 'answered',
      });
      return {
        steps: [
          {
            ok: true,
            text: key ? 'Key accepted, client is notebook' : 'No key needed, client is plimsoll-desktop',
            at_ms: 0.3,
          },
          { ok: true, text: 'Waited: 4 of 4 slots were busy', at_ms: 212 },
          ...(failing
            ? [{ ok: false, text: 'chat refuses the connection on 127.0.0.1:8080', at_ms: 252 }]
            : [
                { ok: true, text: 'First token from chat, slot 3', at_ms: 298 },
                { ok: true, text: '200, 9 tokens, 55 tok/s', at_ms: 462 },
              ]),
        ],
        text: failing ? '' : 'Hello! How can I help?',
        row,
      };
    },
    keys: () => keys,
    'keys.add': (spec) => {
      if (keys.some((k) => k.spec.name === spec.name))
        throw new CallError({
          code: 'conflict',
          message: `There is a key ${spec.name} already.`,
          hint: 'Take another name, or revoke that one.',
        });
      const id = `K${keys.length + 1}x${spec.name.slice(0, 1)}`;
      const info: KeyInfo = { id, begins: `plm-${id}`, spec, made_ms: Date.now(), used_ms: null };
      keys = [...keys, info];
      return { key: `plm-${id}-9tQd-Xw2m-8Hzs-Lc5b`, info };
    },
    'keys.change': ({ id, spec }) => {
      const info = keys.find((k) => k.id === id);
      if (!info) throw missing('There is no such key.');
      keys = keys.map((k) => (k.id === id ? { ...k, spec } : k));
      return { ...info, spec };
    },
    'keys.revoke': ({ id }) => {
      const info = keys.find((k) => k.id === id);
      if (!info) throw missing('There is no such key.');
      keys = keys.filter((k) => k.id !== id);
      return { message: `The key of ${info.spec.name} is revoked` };
    },
  };
}
