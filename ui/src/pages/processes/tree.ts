// The table of processes as rows: grouped, summed, sorted, filtered, with the
// small ones folded into a line. Pure, so that 2000 processes can be tested.

import type { Process } from '../../lib/bindings';
import { groupOf, titleOf } from '../../lib/groups';

export type GroupBy = 'service' | 'user' | 'container' | 'none';
export type Only = 'all' | 'gpu' | 'listening' | 'mine';
export type SortKey = 'name' | 'pid' | 'user' | 'cpu' | 'rss' | 'vram' | 'threads' | 'started';

export interface Order {
  key: SortKey;
  descending: boolean;
}

export interface Shown {
  by: GroupBy;
  only: Only;
  /** Part of a name, a command line or a user; a pid; a port, with or without a colon before it. */
  text: string;
  order: Order;
  /** Groups that a person opened or closed; the others follow the rule of {@link opens}. */
  open: ReadonlyMap<string, boolean>;
  /** Groups whose small processes are shown. */
  unfolded: ReadonlySet<string>;
  /** The user whose processes are "mine"; `null` where it is not known. */
  me: number | null;
}

export interface Group {
  id: string;
  name: string;
  /** Those that pass the filter, in order. */
  processes: Process[];
  cpu: number | null;
  rss: number;
  /** `null`: none holds any, or it is not known. */
  vram: number | null;
  threads: number;
  /** When the first of them started. */
  started: number;
  trace: (number | null)[];
}

export type Row =
  | { type: 'group'; id: string; group: Group; open: boolean }
  | { type: 'process'; id: string; group: Group; process: Process }
  | { type: 'more'; id: string; group: Group; hidden: number };

/** A group of more than so many processes folds its small ones. */
const FOLD_ABOVE = 8;
/** Always shown, however small, so that an open group is never empty. */
const FOLD_KEEPS = 3;
/** Small: below both, and nothing on the GPU. The folded line names these bounds. */
export const SMALL_CPU_PERCENT = 2;
export const SMALL_RSS_BYTES = 2 ** 30;
/** A program that runs once and takes less than that stands under "Other". */
const OTHER_RSS_BYTES = 256 * 2 ** 20;

export const OTHER = 'other';

const isKernel = (p: Process) => p.command === '' && p.rss_bytes === 0;

function headOf(p: Process, by: GroupBy): { id: string; name: string } {
  switch (by) {
    case 'service':
      return isKernel(p) ? { id: 'kernel', name: 'Kernel' } : groupOf(p);
    case 'user':
      return { id: `user:${p.uid}`, name: p.user };
    case 'container':
      return p.container
        ? { id: `container:${p.container}`, name: p.container }
        : { id: 'host', name: 'No container' };
    case 'none':
      return { id: 'all', name: 'All' };
  }
}

/** Whether a process passes the search. */
export function matches(p: Process, text: string): boolean {
  const needle = text.trim().toLowerCase();
  if (needle === '') return true;
  // Where the system tells no ports, a command line may still name one: it is looked through as well.
  const port = /^:?(\d{1,5})$/.exec(needle)?.[1];
  if (port !== undefined && p.ports.includes(Number(port))) return true;
  return (
    String(p.pid) === needle ||
    p.name.toLowerCase().includes(needle) ||
    p.user.toLowerCase().includes(needle) ||
    p.command.toLowerCase().includes(needle) ||
    (p.container ?? '').toLowerCase().includes(needle) ||
    (p.unit ?? '').toLowerCase().includes(needle)
  );
}

function passes(p: Process, shown: Shown): boolean {
  if (shown.only === 'gpu' && p.vram_bytes === null) return false;
  if (shown.only === 'listening' && p.ports.length === 0) return false;
  if (shown.only === 'mine' && p.uid !== shown.me) return false;
  return matches(p, shown.text);
}

const plus = (a: number | null, b: number | null) => (b === null ? a : (a ?? 0) + b);

/** Traces added up from their newest ends; a moment that none knows stays a gap. */
export function addTraces(traces: readonly (readonly (number | null)[])[]): (number | null)[] {
  const length = traces.reduce((most, t) => Math.max(most, t.length), 0);
  const sum = new Array<number | null>(length).fill(null);
  for (const trace of traces) {
    const shift = length - trace.length;
    for (let i = 0; i < trace.length; i++) {
      const value = trace[i];
      if (value !== null && value !== undefined) sum[i + shift] = (sum[i + shift] ?? 0) + value;
    }
  }
  return sum;
}

function grouped(
  processes: readonly Process[],
  by: GroupBy,
): Map<string, { name: string; processes: Process[] }> {
  const groups = new Map<string, { name: string; processes: Process[] }>();
  for (const p of processes) {
    const { id, name } = headOf(p, by);
    const group = groups.get(id);
    if (group) group.processes.push(p);
    else groups.set(id, { name, processes: [p] });
  }
  if (by !== 'service') return groups;
  // By memory and not by CPU: what a process holds hardly changes, so the rows stay where they are.
  const other: Process[] = [];
  for (const [id, { processes: members }] of groups) {
    const only = members[0];
    if (!id.startsWith('program:') || members.length !== 1 || !only) continue;
    if (only.vram_bytes !== null || only.rss_bytes >= OTHER_RSS_BYTES) continue;
    other.push(only);
    groups.delete(id);
  }
  if (other.length > 0) groups.set(OTHER, { name: 'Other', processes: other });
  return groups;
}

type Value = string | number | null;

function processValue(p: Process, key: SortKey): Value {
  switch (key) {
    case 'name':
      return p.name.toLowerCase();
    case 'pid':
      return p.pid;
    case 'user':
      return p.user;
    case 'cpu':
      return p.cpu_percent;
    case 'rss':
      return p.rss_bytes;
    case 'vram':
      return p.vram_bytes;
    case 'threads':
      return p.threads;
    case 'started':
      return p.started_ms;
  }
}

function groupValue(g: Group, key: SortKey): Value {
  switch (key) {
    case 'name':
    case 'user':
      return g.name.toLowerCase();
    case 'pid':
      return g.processes.reduce((least, p) => Math.min(least, p.pid), Infinity);
    default:
      return g[key];
  }
}

/** What is not known stands last, whichever way the others go. */
function compare(a: Value, b: Value, descending: boolean): number {
  if (a === b) return 0;
  if (a === null) return 1;
  if (b === null) return -1;
  const order = a < b ? -1 : 1;
  return descending ? -order : order;
}

/** The processes that pass the filter, as groups in order. */
export function groupsOf(processes: readonly Process[], shown: Shown): Group[] {
  const { key, descending } = shown.order;
  const out: Group[] = [];
  // Grouped before filtering: a search must not move a process to another group.
  for (const [id, { name, processes: all }] of grouped(processes, shown.by)) {
    const members = all.filter((p) => passes(p, shown));
    if (members.length === 0) continue;
    members.sort((a, b) => compare(processValue(a, key), processValue(b, key), descending) || a.pid - b.pid);
    out.push({
      id,
      name,
      processes: members,
      cpu: members.reduce<number | null>((sum, p) => plus(sum, p.cpu_percent), null),
      rss: members.reduce((sum, p) => sum + p.rss_bytes, 0),
      vram: members.reduce<number | null>((sum, p) => plus(sum, p.vram_bytes), null),
      threads: members.reduce((sum, p) => sum + p.threads, 0),
      started: members.reduce((first, p) => Math.min(first, p.started_ms), Infinity),
      trace: addTraces(members.map((p) => p.cpu_trace)),
    });
  }
  return out.sort(
    (a, b) => compare(groupValue(a, key), groupValue(b, key), descending) || a.name.localeCompare(b.name),
  );
}

/** Whether a group stands open before a person says otherwise: when it is searched, or holds VRAM, or is small. */
function opens(group: Group, shown: Shown): boolean {
  const said = shown.open.get(group.id);
  if (said !== undefined) return said;
  if (shown.text.trim() !== '' || shown.only === 'gpu' || shown.only === 'listening') return true;
  if (group.id === OTHER || group.id === 'kernel') return false;
  // Its only row would say the same once more.
  const only = group.processes.length === 1 ? group.processes[0] : undefined;
  if (only && titleOf(only) === group.name) return false;
  return (
    group.vram !== null || group.id === 'own' || (group.processes.length > 1 && group.processes.length <= 5)
  );
}

const small = (p: Process) =>
  (p.cpu_percent ?? 0) <= SMALL_CPU_PERCENT && p.rss_bytes <= SMALL_RSS_BYTES && p.vram_bytes === null;

export function rowsOf(groups: readonly Group[], shown: Shown): Row[] {
  const rows: Row[] = [];
  for (const group of groups) {
    const flat = shown.by === 'none';
    const open = flat || opens(group, shown);
    if (!flat) rows.push({ type: 'group', id: `g:${group.id}`, group, open });
    if (!open) continue;
    const foldable =
      !flat &&
      shown.text.trim() === '' &&
      shown.only !== 'listening' &&
      group.processes.length > FOLD_ABOVE &&
      !shown.unfolded.has(group.id);
    let hidden = 0;
    group.processes.forEach((process, at) => {
      if (foldable && at >= FOLD_KEEPS && small(process)) hidden += 1;
      else rows.push({ type: 'process', id: `p:${process.pid}`, group, process });
    });
    if (hidden > 0) rows.push({ type: 'more', id: `m:${group.id}`, group, hidden });
  }
  return rows;
}

/** `:8080 :9090 +3`; empty where it listens on none that may be seen. */
export function portsOf(p: Process, most = 2): string {
  const first = p.ports.slice(0, most).map((port) => `:${port}`);
  const others = p.ports.length - first.length;
  return [...first, ...(others > 0 ? [`+${others}`] : [])].join(' ');
}

/** A trace as an SVG path, 0 to its own peak; empty where it never was above zero. */
export function pathOf(
  trace: readonly (number | null)[],
  slots: number,
  width: number,
  height: number,
): string {
  // Two values share a slot by the larger one: a spike stays.
  const per = Math.max(1, Math.ceil(slots / Math.max(1, width / 2)));
  const points: (number | null)[] = [];
  const first = slots - trace.length;
  for (let at = 0; at < slots; at += per) {
    let most: number | null = null;
    for (let k = at; k < at + per; k++) {
      const value = trace[k - first];
      if (value !== null && value !== undefined) most = Math.max(most ?? 0, value);
    }
    points.push(most);
  }
  const peak = points.reduce<number>((most, v) => Math.max(most, v ?? 0), 0);
  if (peak <= 0) return '';
  let path = '';
  let drawing = false;
  points.forEach((value, at) => {
    if (value === null) {
      drawing = false;
      return;
    }
    const x = points.length > 1 ? (at / (points.length - 1)) * width : 0;
    path += `${drawing ? 'L' : 'M'}${x.toFixed(1)} ${(height - 1 - (value / peak) * (height - 3)).toFixed(1)}`;
    drawing = true;
  });
  return path;
}

/** The row to stand on when the chosen one is gone: the one that took its place. */
export function nearest(rows: readonly Row[], id: string, at: number): number {
  const found = rows.findIndex((row) => row.id === id);
  return found >= 0 ? found : Math.min(Math.max(at, 0), rows.length - 1);
}
