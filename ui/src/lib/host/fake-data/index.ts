// Invented data for `npm run dev`: one workstation, the same on every start.
// Variants by address: `?fake=nogpu`, `?fake=empty`, `?fake=alarm`, `?fake=trouble`, `?fake=ailing`,
// `?fake=first`, `?fake=down`, and of the services `?fake=found`, `?fake=unsought`, `?fake=slow`, of the gateway
// `?fake=idle`, `?fake=failing`, `?fake=port`, `?fake=off`.
// Beside any of them: `&theme=light`, `&hold=on|freeing|restoring|lost`, `&history=slow`.

import type { Answer, LiveValue, SeriesInfo, SeriesKey, SettingState, SettingValue } from '../../bindings';
import { fakeHost, type FakeHost, type Handlers } from '../fake';
import { CallError } from '../types';
import { fakeHold, HOLD_NEWS } from './hold';
import { about, status } from './machine';
import { processAnswers } from './processes';
import { alarm, marks, rules } from './rules';
import { answer, catalogue } from './series';
import { serviceAnswers, serviceMarks, serviceSeries } from './services';
import { trafficAnswers, trafficSeries } from './traffic';

/** The settings that every page reads. */
function settings(theme: string): SettingState[] {
  const state = (key: string, standard: SettingValue, value = standard): SettingState => ({
    key,
    spec: key,
    value,
    default: standard,
    origin: { from: 'default' },
  });
  return [
    state('window.theme', 'system', theme),
    state('power.price_per_kwh', 0.3),
    state('power.currency', 'EUR'),
    state('sampling.interval_ms', 1000),
  ];
}

/** The door for `npm run dev`. `more` are the answers that single pages need for themselves. */
export function devHost(search = location.search, more: (now: number) => Handlers = () => ({})): FakeHost {
  const params = new URLSearchParams(search);
  const variant = params.get('fake') ?? '';
  const gpu = variant !== 'nogpu';
  const empty = variant === 'empty';
  const start = Date.now();
  const lately = { gpu, ailing: variant === 'ailing', start };
  const idle = ['idle', 'port', 'off'].includes(variant);
  const list = [...catalogue(gpu), ...serviceSeries(lately), ...trafficSeries({ idle })];
  const find = (metric: string, subject: string) =>
    list.find((s) => s.metric === metric && s.subject === subject);
  const kept = new Map<string, string>();
  const paused = variant === 'trouble' ? 'The disk is full: 20 MiB are left where the data is kept' : null;
  const hold = fakeHold(start, params.get('hold'));
  const handlers: Handlers = {
    about: () => about(gpu, start, variant === 'first'),
    status: () => ({
      ...status(gpu, start, empty ? 0 : list.length, paused),
      gateway: ['off', 'port'].includes(variant) ? null : '127.0.0.1:1876',
      gateway_overhead_us: idle || empty ? null : 612,
    }),
    series: (): SeriesInfo[] =>
      empty
        ? []
        : list.map((s) => ({
            key: { metric: s.metric, subject: s.subject },
            label: s.label,
            subject_kind: s.kind,
            kind: s.counter ? 'counter' : 'gauge',
            unit: s.counter && s.unit === 'bytes_per_second' ? 'bytes' : s.unit,
            cadence_ms: s.cadence,
            last_ms: Date.now(),
            last: Number.isNaN(s.at(Date.now())) ? null : s.at(Date.now()),
          })),
    'history.query': async (query): Promise<Answer> => {
      if (params.get('history') === 'slow') await new Promise((done) => setTimeout(done, 2500));
      const of = ({ metric, subject }: SeriesKey) => (empty ? undefined : find(metric, subject));
      return {
        from_ms: query.from_ms,
        to_ms: query.to_ms,
        series: query.series.map((key) => answer(of(key), key, query, Date.now())),
      };
    },
    marks: (span) =>
      empty
        ? []
        : [...marks(start), ...serviceMarks(lately)].filter(
            (m) => m.at_ms >= span.from_ms && m.at_ms < span.to_ms,
          ),
    energy: (span) =>
      gpu && !empty
        ? {
            basis: 'counter',
            kwh: (0.25 * (span.to_ms - span.from_ms)) / 3_600_000,
            cost: (0.25 * 0.3 * (span.to_ms - span.from_ms)) / 3_600_000,
            currency: 'EUR',
            covered: 0.96,
          }
        : { basis: 'none', kwh: null, cost: null, currency: 'EUR', covered: 0 },
    ...processAnswers(gpu, start),
    ...serviceAnswers({ ...lately, variant, emit: (live) => made.emit(live) }),
    ...trafficAnswers({ start, variant, emit: (live) => made.emit(live) }),
    ...(empty && {
      processes: () => ({ at_ms: 0, interval_ms: 5000, processes: [], vram_unknown: null }),
    }),
    alerts: () => (variant === 'alarm' ? [alarm(start)] : []),
    'alerts.rules': () => rules(gpu, variant === 'alarm'),
    config: () => ({
      path: '/home/mara/.config/plimsoll/plimsoll.toml',
      text: '',
      revision: 12,
      digest: 'd',
      problems: [],
      settings: settings(params.get('theme') ?? 'system'),
    }),
    remember: ({ key, value }) => {
      kept.set(key, value);
      return { message: '' };
    },
    recall: ({ key }) => kept.get(key) ?? null,
    ...hold.answers,
    ...more(start),
  };
  if (variant === 'down') {
    for (const name of Object.keys(handlers) as (keyof Handlers)[]) {
      handlers[name] = () => {
        throw new CallError({
          code: 'unavailable',
          message: 'Plimsoll does not answer on its socket since 14:29:11.',
          hint: 'Start it again with `plimsoll up`.',
        });
      };
    }
  }
  const made = fakeHost(handlers, (fake) => {
    if (variant === 'down') {
      fake.link(false);
      return () => undefined;
    }
    let n = 0;
    const tick = () => {
      const now = Date.now();
      const wanted = fake.subscribed ?? [];
      const values: LiveValue[] = empty
        ? []
        : list
            .filter((s) => n % (s.cadence / 1000) === 0 && wanted.some((w) => s.metric.startsWith(w)))
            .map((s) => ({ metric: s.metric, subject: s.subject, value: s.at(now) }))
            .filter(({ value }) => !Number.isNaN(value));
      fake.emit({ event: 'tick', at_ms: now, values });
      if (!empty) fake.emit({ event: 'services', at_ms: now });
      if (!empty && !idle) fake.emit({ event: 'traffic', at_ms: now });
      if (hold.tick(now)) fake.emit(HOLD_NEWS);
      if (n % 5 === 0) fake.emit({ event: 'processes', at_ms: now });
      n += 1;
    };
    const timer = setInterval(tick, 1000);
    queueMicrotask(tick);
    return () => clearInterval(timer);
  });
  return made;
}
