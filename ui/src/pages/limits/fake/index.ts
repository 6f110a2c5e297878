// Invented limits for `npm run dev` and for tests: what the settings say, with the charts that
// the invented machine has. `?fake=locked`, `?fake=drafted`, and those of the settings.

import type {
  Change,
  Compared,
  DraftChange,
  LimitEffect,
  LimitGroup,
  LimitGroupInfo,
  LimitInfo,
  LimitPreset,
  LimitStop,
  LimitsCompared,
  LimitsView,
  LimitTakesHold,
  Preset,
  SettingValue,
} from '../../../lib/bindings';
import type { FakeHost, Handlers } from '../../../lib/host/fake';
import { same } from '../../../lib/settings/values';
import { specOf } from '../../settings/fake/table';

const MIB = 2 ** 20;
const MINUTE = 60_000;

const GROUPS: LimitGroupInfo[] = (
  [
    ['vram', 'GPU and VRAM'],
    ['concurrency', 'Concurrency'],
    ['queue', 'Queue and waiting'],
    ['clients', 'Clients and keys'],
    ['time', 'Time-outs'],
    ['retries', 'Retries, breaker'],
    ['cache', 'Cache'],
    ['memory', 'Memory, CPU, connections'],
    ['disk', 'Disk and history'],
    ['measuring', 'Measuring'],
  ] as [LimitGroup, string][]
).map(([id, title]) => ({ id, title }));

interface Place {
  group: LimitGroup;
  key: string;
  series?: string[];
  scale?: number | null;
  filled?: boolean;
  floor?: boolean;
  restarts?: boolean;
  stop?: LimitStop;
}

/** The first metric carries the line. */
const PLACES: Place[] = [
  { group: 'vram', key: 'services.chat.vram_mib', series: ['gpu.vram.used'], scale: MIB },
  { group: 'vram', key: 'services.chat.kv_type', series: ['gpu.vram.used'], restarts: true },
  { group: 'vram', key: 'services.chat.context_tokens', series: ['gpu.vram.used'], restarts: true },
  { group: 'vram', key: 'gateway.gates.temperature.mode', series: ['gpu.temperature'] },
  {
    group: 'concurrency',
    key: 'services.chat.max_in_flight',
    series: ['gateway.in_flight', 'gateway.queued'],
    scale: 1,
    filled: true,
  },
  {
    group: 'concurrency',
    key: 'gateway.max_in_flight',
    series: ['gateway.in_flight', 'gateway.queued'],
    scale: 1,
    filled: true,
  },
  { group: 'concurrency', key: 'gateway.consult.max_models', series: ['gateway.in_flight'] },
  { group: 'queue', key: 'gateway.queue.max', series: ['gateway.queued'], scale: 1 },
  { group: 'queue', key: 'gateway.queue.wait_s', series: ['gateway.queued'] },
  { group: 'clients', key: 'gateway.clients.requests_per_min', series: ['gateway.requests'] },
  { group: 'time', key: 'gateway.timeout.first_byte_s', series: ['gateway.in_flight'] },
  { group: 'time', key: 'gateway.timeout.total_s', series: ['gateway.in_flight'] },
  { group: 'retries', key: 'gateway.retry.tries', series: ['gateway.requests'] },
  {
    group: 'retries',
    key: 'gateway.retry.held_mib',
    series: ['self.rss'],
    stop: { side: 'at_least', key: 'gateway.retry.payload_mib' },
  },
  {
    group: 'retries',
    key: 'gateway.retry.payload_mib',
    series: ['self.rss'],
    stop: { side: 'at_most', key: 'gateway.retry.held_mib' },
  },
  { group: 'cache', key: 'gateway.cache.max_mib', series: ['self.rss'] },
  { group: 'cache', key: 'gateway.cache.ttl_s', series: ['gateway.requests'] },
  {
    group: 'memory',
    key: 'gateway.gates.memory.available_percent',
    series: ['memory.available'],
    scale: 0.627 * 2 ** 30,
    floor: true,
  },
  { group: 'memory', key: 'gateway.gates.cpu.busy_percent', series: ['cpu.busy'], scale: 1 },
  { group: 'disk', key: 'history.max_mib' },
  { group: 'disk', key: 'history.keep.raw_hours' },
  { group: 'disk', key: 'history.keep.m1_days' },
  { group: 'disk', key: 'history.checkpoint_s' },
  { group: 'measuring', key: 'sampling.interval_ms', series: ['self.cpu'] },
  { group: 'measuring', key: 'sampling.max_series', series: ['self.rss'] },
];

const ROOM = 4;
const numeric = (values: (SettingValue | null | undefined)[]) =>
  values.filter((v): v is number => typeof v === 'number');

type Says = (key: string) => { value: SettingValue; line: number | null; variable: string | null };

function limitOf(place: Place, says: Says, shut: boolean): LimitInfo | null {
  const spec = specOf(place.key);
  if (!spec) return null;
  const { value, line, variable } = says(place.key);
  const of = /^services\.([^.]+)\.[^.]+$/.exec(place.key)?.[1] ?? null;
  const room = place.key.endsWith('.max_in_flight') && of !== null;
  const kv = place.key.endsWith('.kv_type');
  const [conservative, balanced, aggressive]: (SettingValue | null)[] = room
    ? [ROOM / 2, 'auto', ROOM * 2]
    : spec.conservative === null || spec.aggressive === null
      ? [null, null, null]
      : [spec.conservative, spec.default, spec.aggressive];
  const accepts = kv
    ? { type: 'choice' as const, options: ['default', 'f16', 'q8_0', 'q4_0'] }
    : spec.accepts;
  const ends = 'min' in accepts ? accepts : null;
  const most = 2 * Math.max(8, ...numeric([value, spec.default, conservative, aggressive]), room ? ROOM : 0);
  const max = ends ? (ends.max - ends.min <= 200 ? ends.max : Math.min(most, ends.max)) : 0;
  const log = ends !== null && max - ends.min > 100 && ends.max - ends.min > 200;
  const holds: LimitTakesHold = place.restarts
    ? {
        when: 'service_restarts',
        service: 'chat',
        name: 'chat',
        about_ms: 9000,
        text: 'restarts chat, about 9 s',
      }
    : { when: 'live' };
  return {
    key: place.key,
    group: place.group,
    title: of ? `${spec.label}, ${of}` : spec.label,
    meaning: spec.meaning,
    of,
    accepts,
    unit: spec.unit,
    default: spec.default,
    value,
    origin: variable
      ? { from: 'environment', variable }
      : line === null
        ? { from: 'default' }
        : { from: 'file', line },
    in_force: room && value === 'auto' ? ROOM : null,
    in_force_why: room && value === 'auto' ? 'told by the server' : '',
    lock: shut
      ? { by: 'file', reason: '/etc/plimsoll/plimsoll.toml cannot be written: Permission denied.' }
      : variable
        ? {
            by: 'environment',
            variable,
            reason: `${variable} is set, and goes before the file. Unset it and start Plimsoll again to change it here.`,
          }
        : null,
    conservative: conservative ?? null,
    balanced: balanced ?? null,
    aggressive: aggressive ?? null,
    stop: place.stop ?? null,
    slider: ends ? { min: log ? Math.max(1, ends.min) : ends.min, max, step: 1, log } : null,
    chart: place.series
      ? {
          series: place.series.map((metric) => ({ metric, subject: '' })),
          stacked: place.series.length > 1,
          scale: place.scale ?? null,
          floor: place.floor ?? false,
          filled: place.filled ?? false,
        }
      : null,
    takes_hold: holds,
  };
}

function presetOf(limits: readonly LimitInfo[], id: Preset, title: string, meaning: string): LimitPreset {
  const wanted = limits.filter((limit) => limit[id] !== null && !same(limit[id] ?? '', limit.value));
  return {
    id,
    title,
    meaning,
    changes: wanted
      .filter((limit) => limit.lock === null)
      .map((limit) => ({ key: limit.key, old: limit.value, new: limit[id] ?? '' })),
    locked: wanted.filter((limit) => limit.lock !== null).map((limit) => limit.key),
  };
}

/** What moving one would have done: invented, and the same each time. */
function effectOf(limit: LimitInfo | undefined, { key, value }: Change): LimitEffect {
  const none: LimitEffect = { keys: [key], known: false, text: '', why: '', replay: null, vram: null };
  const number = typeof value === 'number' ? value : null;
  if (key.endsWith('.max_in_flight') && limit && number !== null) {
    const today = typeof limit.value === 'number' ? limit.value : (limit.in_force ?? 512);
    const less = number > today;
    const some = Math.min(640, Math.round(76 * Math.abs(number - today)));
    return {
      ...none,
      known: true,
      text: `${some} of the last 1000 requests would have waited ${less ? '2.1 s less' : '3.4 s more'}; none refused.`,
      why: 'Replayed from 13:24 to 14:31; each keeps the time it took.',
    };
  }
  if (key === 'gateway.queue.max' && number !== null)
    return number < 21
      ? {
          ...none,
          known: true,
          text: `${(21 - number) * 2} of the last 1000 requests would have been refused.`,
          why: 'At most 21 waited at once.',
        }
      : { ...none, text: 'Cannot tell: the queue never held more than 21 in this time.' };
  if (key.endsWith('.kv_type') && value === 'q8_0')
    return {
      ...none,
      known: true,
      text: 'VRAM 20.5 → 16.3 GiB.',
      why: 'From the plan of its model; the cache shrinks from 9.0 to 4.8 GiB.',
      vram: {
        used_bytes: 20.5 * 2 ** 30,
        total_bytes: 24 * 2 ** 30,
        before_bytes: 20.5 * 2 ** 30,
        after_bytes: 16.3 * 2 ** 30,
      },
    };
  return { ...none, text: 'Cannot tell: nothing that is recorded says it.' };
}

function compared(
  revision: number,
  at: number,
  changed: LimitsCompared['changed'],
  few: boolean,
): LimitsCompared {
  const estimate = (value: number, spread: number) => ({ value, low: value - spread, high: value + spread });
  const figure = (
    figure: Compared['figure'],
    title: string,
    unit: string,
    a: [number, number],
    b: [number, number],
    verdict: Compared['verdict'],
    says: string,
  ): Compared => ({
    figure,
    title,
    unit,
    before_count: 212,
    after_count: few ? 12 : 208,
    before: estimate(...a),
    after: few ? null : estimate(...b),
    difference: few ? null : estimate(b[0] - a[0], a[1] + b[1]),
    verdict: few ? 'cannot_tell' : verdict,
    text: few ? `${title} cannot be told yet` : `${title} ${a[0]} → ${b[0]} ${unit}, ${says}`,
    why: few
      ? 'needs 59 requests, 212 before and 12 after'
      : verdict === 'cannot_tell'
        ? 'the intervals overlap'
        : '',
  });
  return {
    revision,
    at_ms: at,
    changed,
    services: ['chat'],
    before: { from_ms: at - 16 * MINUTE, to_ms: at },
    after: { from_ms: at, to_ms: at + 16 * MINUTE },
    window_why: '16 min on each side, up to the next change.',
    figures: [
      figure('ttft_p95', 'TTFT p95', 'ms', [612, 38], [740, 52], 'clearly_worse', 'clearly worse'),
      figure('wait_p95', 'Wait p95', 'ms', [2140, 420], [310, 90], 'clearly_better', 'clearly better'),
      figure('refused_share', 'Refused', '%', [0.4, 0.4], [0.2, 0.2], 'cannot_tell', 'cannot tell'),
      figure('requests_per_min', 'Requests', '/min', [18.2, 2.1], [19.6, 2.4], 'cannot_tell', 'cannot tell'),
    ],
    caution: '',
  };
}

/** Adds the answers to a fake door whose settings are furnished already. */
export function furnishLimits(fake: FakeHost, search = location.search): FakeHost {
  const variant = new URLSearchParams(search).get('fake') ?? '';
  const { handlers } = fake;
  if (variant === 'down') {
    for (const name of ['limits', 'limits.stage', 'limits.effect', 'limits.compare'] as const)
      handlers[name] = handlers.status as never;
    return fake;
  }
  let serial = 0;
  let kept: { key: string; from: SettingValue; to: SettingValue | null }[] = [];
  let base = '';

  const says = async (): Promise<Says & { digest: string; revision: number }> => {
    const { settings, digest, revision } = await handlers.config!({});
    const of = new Map(settings.map((s) => [s.key, s]));
    const read: Says = (key) => {
      const state = of.get(key);
      return {
        value: state?.value ?? specOf(key)?.default ?? 0,
        line: state?.origin.from === 'file' ? state.origin.line : null,
        variable: state?.origin.from === 'environment' ? state.origin.variable : null,
      };
    };
    return Object.assign(read, { digest, revision });
  };
  const shown = (read: Says & { digest: string }) => {
    const changes = kept.flatMap(({ key, from, to }): DraftChange[] => {
      const now = read(key).value;
      if (same(to ?? specOf(key)?.default ?? 0, now)) return [];
      return [{ key, from, now, to, conflict: !same(now, from) }];
    });
    return {
      serial,
      changes,
      at_ms: changes.length > 0 ? Date.now() : null,
      file_changed: changes.length > 0 && base !== read.digest,
    };
  };
  const all = (read: Says) => PLACES.flatMap((place) => limitOf(place, read, variant === 'locked') ?? []);

  const answers: Handlers = {
    limits: async (): Promise<LimitsView> => {
      const read = await says();
      const limits = all(read);
      const presets = [
        presetOf(limits, 'conservative', 'Conservative', 'Costs least, and refuses sooner than it risks.'),
        presetOf(limits, 'balanced', 'Balanced', 'What Plimsoll comes with.'),
        presetOf(limits, 'aggressive', 'Aggressive', 'Takes more at once and keeps more, and costs more.'),
      ];
      return {
        revision: read.revision,
        digest: read.digest,
        groups: GROUPS.filter(({ id }) => limits.some((limit) => limit.group === id)),
        limits,
        presets,
        preset: presets.find((preset) => preset.changes.length + preset.locked.length === 0)?.id ?? null,
        draft: shown(read),
      };
    },
    'limits.stage': async ({ set, clear, rebase }) => {
      const read = await says();
      if (rebase || kept.length === 0) base = read.digest;
      kept = kept.filter(({ key }) => !clear.includes(key));
      for (const { key, value } of set) {
        const before = kept.find((change) => change.key === key);
        if (before) before.to = value;
        else kept.push({ key, from: read(key).value, to: value });
      }
      if (rebase) for (const change of kept) change.from = read(change.key).value;
      serial += 1;
      return shown(read);
    },
    'limits.effect': async ({ changes }) => {
      const limits = new Map(all(await says()).map((limit) => [limit.key, limit]));
      return { effects: changes.map((change) => effectOf(limits.get(change.key), change)), together: null };
    },
    'limits.compare': async ({ revision }) => {
      const found = (await handlers['config.revisions']!({})).find((r) => r.number === revision);
      const at = found?.at_ms ?? Date.now();
      return compared(revision, at, found?.changed ?? [], Date.now() - at < 2 * MINUTE);
    },
    'services.restart': () => ({ job: 77 }),
  };
  Object.assign(handlers, answers);
  if (variant === 'drafted') {
    void says().then((read) => {
      base = read.digest;
      kept = [
        { key: 'services.chat.max_in_flight', from: read('services.chat.max_in_flight').value, to: 6 },
        { key: 'services.chat.kv_type', from: read('services.chat.kv_type').value, to: 'q8_0' },
        { key: 'gateway.queue.max', from: read('gateway.queue.max').value, to: 32 },
      ];
    });
  }
  return fake;
}
