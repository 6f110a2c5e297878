// What Explore shows: which lanes, under which names, to which end. Pure.

import type {
  AlertRule,
  Mark,
  SeriesInfo,
  SeriesKey,
  SourceStatus,
  SubjectKind,
  Unit,
} from '../../lib/bindings';
import type { Mode } from '../../lib/chart/columns';
import { keyOf } from '../../lib/chart/feed.svelte';
import { span } from '../../lib/format';
import { lineOf, type Line } from '../../lib/load';
import { COMPARISONS, type Comparison, type Span } from '../../lib/range';
import { subjectOf, titleOf } from '../../lib/series';

/** More traces than series colours say nothing any more. */
export const PER_LANE = 8;
/** A bound for what one page draws. */
export const MAX_CHOSEN = 48;

export interface Item {
  info: SeriesInfo;
  /** Its name within the lane. */
  name: string;
  color: string;
}

export interface Lane {
  id: string;
  title: string;
  unit: Unit;
  items: Item[];
}

/** Rate counters answer in units per second. */
export function unitOf(info: Pick<SeriesInfo, 'kind' | 'unit'>): Unit {
  if (info.kind !== 'counter') return info.unit;
  return info.unit === 'bytes' ? 'bytes_per_second' : info.unit === 'joules' ? 'watts' : info.unit;
}

/** One lane a metric, in the order of the choice; subjects of one metric share it. */
export function lanesOf(chosen: readonly SeriesKey[], series: readonly SeriesInfo[]): Lane[] {
  const known = new Map(series.map((s) => [keyOf(s.key), s]));
  const lanes: Lane[] = [];
  for (const key of chosen) {
    const info = known.get(keyOf(key));
    if (!info) continue;
    let lane = lanes.findLast((l) => l.items[0]?.info.key.metric === key.metric);
    if (!lane || lane.items.length >= PER_LANE) {
      const part = lanes.filter((l) => l.items[0]?.info.key.metric === key.metric).length;
      lane = { id: `${key.metric}${part || ''}`, title: titleOf(info), unit: unitOf(info), items: [] };
      lanes.push(lane);
    }
    lane.items.push({ info, name: subjectOf(info), color: `--s${lane.items.length + 1}` });
  }
  return lanes;
}

export interface Section {
  id: SubjectKind;
  title: string;
  rows: SeriesInfo[];
}

const SECTIONS: [SubjectKind, string][] = [
  ['gpu', 'GPU'],
  ['machine', 'Machine'],
  ['mount', 'Mounts'],
  ['disk', 'Disks'],
  ['interface', 'Network'],
  ['core', 'Cores'],
  ['sensor', 'Sensors'],
  ['process', 'Processes'],
  ['service', 'Services'],
  ['model', 'Models'],
  ['client', 'Clients'],
  ['plimsoll', 'Plimsoll itself'],
];

const NATURAL = new Intl.Collator('en', { numeric: true });

/** The searchable list, by subject. Every word of the search must be found somewhere in the row. */
export function sectionsOf(series: readonly SeriesInfo[], search: string): Section[] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = (s: SeriesInfo, title: string) => {
    const text =
      `${title} ${titleOf(s)} ${s.label} ${s.key.metric} ${s.subject_kind === 'gpu' ? '' : s.key.subject}`.toLowerCase();
    return words.every((word) => text.includes(word));
  };
  return SECTIONS.map(([id, title]) => ({
    id,
    title,
    rows: series
      .filter((s) => s.subject_kind === id && fits(s, title))
      // Core 2 before core 10; what belongs to one subject stays in the order it comes in.
      .sort((a, b) => NATURAL.compare(a.key.subject, b.key.subject)),
  })).filter((section) => section.rows.length > 0);
}

/** Sections whose rows stand under their subjects: what belongs to `chat` stands together. */
const TREES: ReadonlySet<SubjectKind> = new Set(['service', 'model', 'client', 'process']);

export interface Branch {
  /** Its subject as a person says it; `null`: the rows stand by themselves. */
  name: string | null;
  rows: SeriesInfo[];
}

export function branchesOf(section: Section): Branch[] {
  if (!TREES.has(section.id)) return [{ name: null, rows: section.rows }];
  const branches = new Map<string, Branch>();
  for (const row of section.rows) {
    const branch = branches.get(row.key.subject) ?? { name: subjectOf(row), rows: [] };
    branch.rows.push(row);
    branches.set(row.key.subject, branch);
  }
  return [...branches.values()];
}

type Read = (metric: string, subject: string) => number | null;

/** The metric whose value is the physical end of another's axis. */
const WHOLE: Record<string, string> = {
  'gpu.vram.used': 'gpu.vram.total',
  'gpu.vram.free': 'gpu.vram.total',
  'memory.used': 'memory.total',
  'memory.available': 'memory.total',
  'mount.used': 'mount.total',
  'mount.available': 'mount.total',
  'swap.used': 'swap.total',
  'redis.memory.used': 'redis.memory.limit',
};

/** Where a lane's axis ends physically; `null` where nothing bounds it. */
export function endOf(lane: Lane, read: Read): number | null {
  const first = lane.items[0]?.info;
  if (!first) return null;
  if (lane.unit === 'percent') {
    // 100 is one core: several cores, and a process on them, may well exceed it.
    return /^(process|self|service)\.cpu$/.test(first.key.metric) ? null : 100;
  }
  if (lane.unit === 'flag') return 1;
  const whole = WHOLE[first.key.metric];
  if (!whole) return null;
  const ends = lane.items.map((item) => read(whole, item.info.key.subject));
  return ends.some((e) => e === null) ? null : Math.max(...(ends as number[]));
}

/** The load line of a lane; subjects whose lines lie at different heights have none in common. */
export function loadOf(lane: Lane, rules: readonly AlertRule[]): Line | null {
  const lines = lane.items.map((item) => lineOf(item.info.key, rules));
  const first = lines[0] ?? null;
  return first && lines.every((l) => l?.value === first.value && l.floor === first.floor) ? first : null;
}

/** Alerts that say why a source gave nothing. */
const SILENT = /^alert:(gpu-lost|source-silent|recording-paused)\b/;

/** Why there is a gap: a mark at its edge says it, or the source that is silent. */
export function gapReason(
  gap: Span,
  marks: readonly Mark[],
  source: SourceStatus | undefined,
  now: number,
  /** Of a point: so far off may the edges be. */
  step = 0,
): string {
  const length = gap.to - gap.from;
  const long = `no data for ${span(length)}`;
  const slack = Math.max(5000, length * 0.05, step * 1.5);
  const atEdge = (ms: number) => Math.min(Math.abs(ms - gap.from), Math.abs(ms - gap.to)) <= slack;
  // A start ends the gap; what caused it is that nothing ran before.
  if (marks.some((m) => /^Plimsoll started/.test(m.title) && Math.abs(m.at_ms - gap.to) <= slack))
    return `${long}: Plimsoll did not run`;
  const mark =
    marks.find((m) => (m.kind === 'clock' || m.kind === 'history') && atEdge(m.at_ms)) ??
    // An alert comes once the silence has lasted, so within the gap.
    marks.find((m) => SILENT.test(m.reference ?? '') && m.at_ms >= gap.from - slack && m.at_ms <= gap.to);
  if (mark) {
    // An alert's first words name it; its figures are in the mark's own sentence.
    const title = mark.kind === 'alert' ? (mark.title.split(': ')[0] ?? '') : mark.title;
    return `${long}: ${title.replace(/^The /, 'the ')}`;
  }
  if (source && source.state !== 'healthy' && source.reason && gap.to >= now - 60_000)
    return `${long}: ${source.reason}`;
  return long;
}

/** Name of the source that gives a metric. */
export function sourceOf(metric: string): string {
  if (metric.startsWith('gpu.')) return 'gpu';
  if (metric.startsWith('process')) return 'process';
  if (metric.startsWith('self.')) return 'self';
  if (/^(service|model|redis|store)\./.test(metric)) return 'services';
  return 'system';
}

/** What a point of the charts stands for, and what the dashed lines are. */
export function legendOf(step: number, mode: Mode, compare: Comparison): string {
  const what = { mean: 'the mean', max: 'the maximum', band: 'line is the mean, band is min to max' }[mode];
  const point = step <= 1000 ? 'every value as it was measured' : `1 point holds ${span(step)}: ${what}`;
  if (compare === 'off') return point;
  const name = COMPARISONS[compare];
  return `${point}; dashed: ${name.charAt(0).toLowerCase()}${name.slice(1)}`;
}
