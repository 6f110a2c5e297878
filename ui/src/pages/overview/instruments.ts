// From readings and thresholds to what an instrument says. Pure: no stores here.

import type { AlertRule, SeriesInfo, SeriesKey, SourceStatus, Status } from '../../lib/bindings';
import type { Load } from '../../lib/chart/load';
import { loadState, type LoadState } from '../../lib/chart/scale';
import { bytes, bytesAs, percent, quantity, signed, span, text } from '../../lib/format';
import { lineOf } from '../../lib/load';

export type Read = (metric: string, subject?: string) => number | null;

export interface Face {
  id: 'vram' | 'gpu' | 'ram' | 'cpu' | 'disk' | 'net';
  title: string;
  about: string;
  key: SeriesKey;
  value: string | null;
  unit: string;
  side: string | null;
  state: LoadState;
  left: string;
  right: string;
  dataUnit: 'bytes' | 'percent' | 'bytes_per_second';
  end: number | null;
  load: Load | null;
}

/** Used against a line: the construction that VRAM, RAM and disk share. */
function room(
  face: Pick<Face, 'id' | 'title' | 'about' | 'key'>,
  used: number | null,
  total: number | null,
  rules: readonly AlertRule[],
): Face {
  const line = lineOf(face.key, rules);
  const whole = line?.value ?? total;
  const unitOf = whole ?? used;
  const suffix = unitOf === null ? '' : bytes(unitOf).unit;
  const state = line ? loadState(used, line.value) : 'ok';
  const load: Load | null = line
    ? {
        value: line.value,
        label: bytesAs(line.value, bytes(total ?? line.value).unit),
        state,
        reserve: total !== null,
      }
    : null;
  let left = '';
  if (used !== null && line) {
    const rest = line.value - used;
    left = rest >= 0 ? `${text(rest, 'bytes')} to the line` : `${text(-rest, 'bytes')} above the line`;
  } else if (used !== null && total !== null) left = `${text(total - used, 'bytes')} free`;
  return {
    ...face,
    value: used === null ? null : bytesAs(used, suffix),
    unit: whole === null ? suffix : `of ${bytesAs(whole, suffix)} ${suffix}`,
    side: used === null || !whole ? null : `${percent((100 * used) / whole)} %`,
    state,
    left,
    right: total === null ? '' : `${text(total, 'bytes')} in all`,
    dataUnit: 'bytes',
    end: total,
    load,
  };
}

/** Busy in percent; a line only where a person made a rule for it. */
function busy(
  face: Pick<Face, 'id' | 'title' | 'about' | 'key'>,
  value: number | null,
  rules: readonly AlertRule[],
): Face {
  const line = lineOf(face.key, rules);
  const state = line ? loadState(value, line.value, line.floor) : 'ok';
  return {
    ...face,
    value: value === null ? null : percent(value),
    unit: '% busy',
    side: null,
    state,
    left: '',
    right: '',
    dataUnit: 'percent',
    end: 100,
    load: line
      ? { value: line.value, label: percent(line.value), state, floor: line.floor, reserve: false }
      : null,
  };
}

export interface Facts {
  read: Read;
  rules: readonly AlertRule[];
  series: readonly SeriesInfo[];
  gpu: string | null;
  vramTotal: number | null;
  memoryTotal: number | null;
  slowdown: number | null;
  cores: number | null;
}

/** Mounts that are watched, by name. */
export function mountsOf(series: readonly SeriesInfo[]): string[] {
  return series.filter((s) => s.key.metric === 'mount.used').map((s) => s.key.subject);
}

/** The mount that is nearest to its end, which is the one to look at. */
export function fullestMount(mounts: readonly string[], read: Read): string | null {
  let worst: string | null = null;
  let share = -1;
  for (const mount of mounts) {
    const used = read('mount.used', mount);
    const total = read('mount.total', mount);
    if (used === null || !total) continue;
    if (used / total > share) [worst, share] = [mount, used / total];
  }
  return worst ?? mounts[0] ?? null;
}

export function vramFace(f: Facts): Face {
  const subject = f.gpu ?? '';
  const total = f.read('gpu.vram.total', subject) ?? f.vramTotal;
  const face = room(
    { id: 'vram', title: 'VRAM', about: '', key: { metric: 'gpu.vram.used', subject } },
    f.read('gpu.vram.used', subject),
    total,
    f.rules,
  );
  return { ...face, right: total === null ? '' : `${text(total, 'bytes')} on the card` };
}

export function gpuFace(f: Facts): Face {
  const subject = f.gpu ?? '';
  const face = busy(
    { id: 'gpu', title: 'GPU', about: '', key: { metric: 'gpu.busy', subject } },
    f.read('gpu.busy', subject),
    f.rules,
  );
  const heat = f.read('gpu.temperature', subject);
  const watts = f.read('gpu.power', subject);
  const cap = f.read('gpu.power.limit', subject);
  const throttled =
    (f.read('gpu.throttle.thermal', subject) ?? 0) > 0
      ? 'slowed by heat'
      : (f.read('gpu.throttle.power', subject) ?? 0) > 0
        ? 'at its power cap'
        : null;
  return {
    ...face,
    side: watts === null ? null : text(watts, 'watts'),
    left:
      heat === null
        ? ''
        : f.slowdown === null
          ? `${signed(heat, 0)} °C`
          : `${signed(heat, 0)} °C of ${f.slowdown} °C`,
    right: throttled ?? (cap === null ? '' : `cap ${text(cap, 'watts')}`),
  };
}

export function ramFace(f: Facts): Face {
  const total = f.read('memory.total') ?? f.memoryTotal;
  const face = room(
    { id: 'ram', title: 'RAM', about: '', key: { metric: 'memory.used', subject: '' } },
    f.read('memory.used'),
    total,
    f.rules,
  );
  const swap = f.read('swap.used');
  return { ...face, right: swap ? `${text(swap, 'bytes')} in swap` : face.right };
}

export function cpuFace(f: Facts): Face {
  const face = busy(
    { id: 'cpu', title: 'CPU', about: '', key: { metric: 'cpu.busy', subject: '' } },
    f.read('cpu.busy'),
    f.rules,
  );
  const load = f.read('load.1m');
  const hottest = f.series
    .filter((s) => s.key.metric === 'temperature' && /^(k10temp|coretemp|zenpower|cpu)/i.test(s.key.subject))
    .reduce<number | null>((most, s) => {
      const value = f.read('temperature', s.key.subject);
      return value === null ? most : Math.max(most ?? value, value);
    }, null);
  return {
    ...face,
    side: hottest === null ? null : text(hottest, 'celsius'),
    left: load === null ? '' : `load ${quantity(load, 'count').value}`,
    right: f.cores === null ? '' : f.cores === 1 ? 'one core' : `${f.cores} cores`,
  };
}

export function diskFace(f: Facts): Face {
  const mounts = mountsOf(f.series);
  const mount = fullestMount(mounts, f.read);
  const face = room(
    {
      id: 'disk',
      title: 'Disk',
      about: mount ?? '',
      key: { metric: 'mount.used', subject: mount ?? '' },
    },
    mount === null ? null : f.read('mount.used', mount),
    mount === null ? null : f.read('mount.total', mount),
    f.rules,
  );
  return { ...face, right: mounts.length > 1 ? `fullest of ${mounts.length}` : face.right };
}

/** Why a source says nothing, in a sentence; `null` while it does. */
export function silence(source: SourceStatus | undefined, now: number): string | null {
  if (!source) return null;
  switch (source.state) {
    case 'healthy':
      return null;
    case 'starting':
      return 'Not read yet';
    case 'absent':
      return source.reason || 'Not on this machine';
    case 'late':
      return `No answer for ${span(now - (source.last_ms ?? source.since_ms))}`;
    case 'lost':
    case 'failed':
      return source.reason || 'Cannot be read';
  }
}

/** True where the cards of the GPU have nothing to show at all. */
export function withoutGpu(
  sources: readonly SourceStatus[],
  gpu: string | null,
  status: Status | null,
): boolean {
  const source = sources.find((s) => s.name === 'gpu');
  return gpu === null && status !== null && (source === undefined || source.state !== 'starting');
}

/** The busiest interface, which fills the bank where there is no GPU. */
export function netFace(f: Facts): Face | null {
  const names = f.series.filter((s) => s.key.metric === 'net.received').map((s) => s.key.subject);
  let name: string | null = null;
  let most = -1;
  for (const candidate of names) {
    const rate = (f.read('net.received', candidate) ?? 0) + (f.read('net.sent', candidate) ?? 0);
    if (candidate !== 'lo' && rate > most) [name, most] = [candidate, rate];
  }
  if (name === null) return null;
  const received = f.read('net.received', name);
  const sent = f.read('net.sent', name);
  const rate = received === null ? null : bytes(received);
  return {
    id: 'net',
    title: 'Network',
    about: name,
    key: { metric: 'net.received', subject: name },
    value: rate?.value ?? null,
    unit: rate ? `${rate.unit}/s in` : '/s in',
    side: null,
    state: 'ok',
    left: sent === null ? '' : `${text(sent, 'bytes_per_second')} out`,
    right: '',
    dataUnit: 'bytes_per_second',
    end: null,
    load: null,
  };
}

/** What goes over the disks and the network, for the machine without a GPU: at most one of each. */
export function activityKeys(series: readonly SeriesInfo[]): SeriesInfo[] {
  const first = (metric: string) => series.find((s) => s.key.metric === metric && s.key.subject !== 'lo');
  return ['disk.read', 'disk.written', 'net.received', 'net.sent'].flatMap((metric) => first(metric) ?? []);
}

/** The bank, from left to right. */
export function facesOf(f: Facts, noGpu: boolean): Face[] {
  const network = noGpu ? netFace(f) : null;
  return [
    ...(noGpu ? [] : [vramFace(f), gpuFace(f)]),
    ramFace(f),
    cpuFace(f),
    diskFace(f),
    ...(network ? [network] : []),
  ];
}
