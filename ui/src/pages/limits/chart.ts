// What a limit's chart shows: which series, to which end, and where the lines stand. Pure.

import type { LimitInfo, MetricSpec, SeriesInfo, SeriesKey, SettingValue, Unit } from '../../lib/bindings';
import type { Load } from '../../lib/chart/load';
import { axisUnit, loadState, niceEnd } from '../../lib/chart/scale';
import { numberOf } from '../../lib/limits/scale';
import { short, zeroWords } from '../../lib/limits/words';
import { subjectOf, titleOf } from '../../lib/series';
import { endOf, unitOf } from '../explore/lanes';

/** One series that is drawn. */
export interface Drawn {
  key: SeriesKey;
  info: SeriesInfo | null;
  /** Of the metric, where nothing of it is recorded yet. */
  unit: Unit;
  name: string;
  color: string;
}

/** What waits is grey everywhere: it is demand, and not work. */
const WAITS = /queued|waiting/;

/**
 * The series of a chart as the history has them: what is said without a subject is of the only one
 * there is, or of the first of several cards.
 */
export function drawnOf(
  limit: LimitInfo,
  series: readonly SeriesInfo[],
  metrics: ReadonlyMap<string, MetricSpec> = new Map(),
): Drawn[] {
  let used = 0;
  return (limit.chart?.series ?? []).map((wanted) => {
    const of = series.filter((s) => s.key.metric === wanted.metric);
    const info =
      of.find((s) => s.key.subject === wanted.subject) ?? (wanted.subject === '' ? (of[0] ?? null) : null);
    const spec = metrics.get(wanted.metric);
    // What it is of stands in its title.
    const own = limit.of !== null && (info?.key.subject ?? wanted.subject) === limit.of;
    const subject = own ? '' : info ? subjectOf(info) : wanted.subject;
    const title = info ? nameOf(info) : spec ? ungated(spec.label) : wanted.metric;
    const color = WAITS.test(wanted.metric) ? '--s-mute' : `--s${++used}`;
    return {
      key: info?.key ?? wanted,
      info,
      unit: info ? unitOf(info) : (spec?.unit ?? 'count'),
      name: subject ? `${title}, ${subject}` : title,
      color,
    };
  });
}

/** On this page it is clear that the gateway counts. */
const ungated = (label: string) => label.replace(/^Gateway (.)/, (_, first: string) => first.toUpperCase());

function nameOf(info: SeriesInfo): string {
  if (!info.key.metric.startsWith('gateway.')) return titleOf(info);
  const label = ungated(info.label);
  return info.kind === 'counter' ? `${label} per second` : label;
}

export function unitOfChart(drawn: readonly Drawn[]): Unit {
  return drawn[0]?.unit ?? 'count';
}

/** Where the axis ends physically; `null` where nothing bounds it. */
export function wholeOf(
  drawn: readonly Drawn[],
  read: (metric: string, subject: string) => number | null,
): number | null {
  const info = drawn[0]?.info;
  if (!info) return drawn[0]?.unit === 'percent' ? 100 : null;
  return endOf({ id: '', title: '', unit: unitOf(info), items: [{ info, name: '', color: '' }] }, read);
}

/**
 * Where the axis ends when nothing bounds it: a little above its lines and its trace; `null` where a
 * round end is as near.
 */
export function roomOf(heights: readonly number[], unit: Unit): number | null {
  const most = 1.15 * Math.max(0, ...heights);
  const { factor } = axisUnit(unit, most);
  return most / factor > 10 && niceEnd(most, unit) > 1.25 * most ? most : null;
}

/** Height of a value on the chart; `null` where it is no line of it, and for 0 that means none. */
export function heightOf(limit: LimitInfo, value: SettingValue): number | null {
  const number = numberOf(limit, value);
  const scale = limit.chart?.scale ?? null;
  if (number === null || scale === null || (number === 0 && zeroWords(limit) !== null)) return null;
  return number * scale;
}

/** The value at a height. */
export function valueOf(limit: LimitInfo, height: number): number | null {
  const scale = limit.chart?.scale ?? null;
  return scale === null || scale === 0 ? null : height / scale;
}

/** The line that holds today. */
export function loadOf(
  limit: LimitInfo,
  present: number | null,
  whole: number | null,
  moved: boolean,
): Load | null {
  const value = heightOf(limit, limit.value);
  if (value === null || limit.chart === null) return null;
  const { floor, filled } = limit.chart;
  const state = filled ? 'ok' : loadState(present, value, floor);
  const number = numberOf(limit, limit.value);
  const label =
    typeof limit.value === 'number' || number === null ? short(limit, limit.value) : short(limit, number);
  return {
    value,
    label: moved ? `${label} today` : label,
    state,
    floor,
    meant: filled,
    reserve: floor || (whole !== null && whole > value),
  };
}
