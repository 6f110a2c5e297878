// Where a chart ends, where its ticks stand, and what they read.

import type { Unit } from '../bindings';
import { clock, clockMinute, day } from '../format';
import type { Span } from '../range';

export interface Tick {
  at: number;
  label: string;
}

const NICE = [1, 2, 2.5, 5, 10];

/** What one unit on the axis is worth: bytes are counted in the binary unit that fits the chart's end. */
export function axisUnit(unit: Unit, end: number): { factor: number; label: string } {
  const binary = (suffix: string) => {
    const names = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
    let at = 0;
    while (at < names.length - 1 && end >= 1024 ** (at + 1)) at += 1;
    return { factor: 1024 ** at, label: `${names[at] ?? 'B'}${suffix}` };
  };
  switch (unit) {
    case 'bytes':
      return binary('');
    case 'bytes_per_second':
      return binary('/s');
    case 'percent':
      return { factor: 1, label: '%' };
    case 'celsius':
      return { factor: 1, label: '°C' };
    case 'watts':
      return { factor: 1, label: 'W' };
    case 'joules':
      return { factor: 1000, label: 'kJ' };
    case 'megahertz':
      return end >= 1000 ? { factor: 1000, label: 'GHz' } : { factor: 1, label: 'MHz' };
    case 'milliseconds':
      return end >= 10_000 ? { factor: 1000, label: 's' } : { factor: 1, label: 'ms' };
    case 'count':
    case 'flag':
      return { factor: 1, label: '' };
  }
}

/** A round end at or above the highest value, so that the trace has room and the ticks are round. */
export function niceEnd(highest: number, unit: Unit): number {
  if (unit === 'flag') return 1;
  const least = unit === 'bytes' || unit === 'bytes_per_second' ? 1024 : unit === 'count' ? 1 : 0.1;
  const top = Math.max(highest, least);
  const { factor } = axisUnit(unit, top);
  const step = niceStep(top / factor / 2);
  return Math.ceil(top / factor / step - 1e-9) * step * factor;
}

function niceStep(rough: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(rough, 1e-9)));
  const nice = NICE.find((n) => n * power >= rough - 1e-12) ?? 10;
  return nice * power;
}

/** Ticks from 0 to the end, at most so many intervals. The end itself is a tick where it is round. */
export function valueTicks(end: number, unit: Unit, intervals: number): Tick[] {
  if (end <= 0 || intervals < 1) return [];
  if (unit === 'flag')
    return [
      { at: 0, label: 'no' },
      { at: 1, label: 'yes' },
    ];
  const { factor } = axisUnit(unit, end);
  // A card of 24 GiB has 23.99: its end is read as what is meant.
  const exact = end / factor;
  const size = Math.abs(exact - Math.round(exact)) < exact / 500 ? Math.round(exact) : exact;
  // Half and whole, where both read short: 0, 12, 24.
  const half = size / 2;
  let step = niceStep(size / intervals);
  if (intervals <= 3 && short(half) && short(size)) step = intervals >= 2 ? half : size;
  const ticks: Tick[] = [];
  for (let k = 0; k * step <= size + 1e-9; k++) {
    const value = k * step;
    ticks.push({ at: Math.min(value * factor, end), label: tickLabel(value, step) });
  }
  return ticks;
}

function short(value: number): boolean {
  const text = String(Math.round(value * 1e6) / 1e6);
  return text.replace(/^0\.|\.|0+$/g, '').length <= 2 && text.length <= 4;
}

function tickLabel(value: number, step: number): string {
  if (value === 0) return '0';
  const decimals = Math.max(0, Math.min(3, -Math.floor(Math.log10(step) + 1e-9) + (isHalf(step) ? 1 : 0)));
  return value
    .toFixed(decimals)
    .replace(/(\.\d*?)0+$/, '$1')
    .replace(/\.$/, '');
}

function isHalf(step: number): boolean {
  const scaled = step / 10 ** Math.floor(Math.log10(step) + 1e-9);
  return Math.abs(scaled - Math.round(scaled)) > 1e-9;
}

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const STEPS = [
  SECOND,
  2 * SECOND,
  5 * SECOND,
  10 * SECOND,
  15 * SECOND,
  30 * SECOND,
  MINUTE,
  2 * MINUTE,
  5 * MINUTE,
  10 * MINUTE,
  15 * MINUTE,
  30 * MINUTE,
  HOUR,
  2 * HOUR,
  3 * HOUR,
  6 * HOUR,
  12 * HOUR,
  DAY,
  2 * DAY,
  7 * DAY,
  14 * DAY,
];

/** Round local moments within a span, as many as have room; days and months follow the calendar. */
export function timeTicks(view: Span, width: number, now: number, room = 88): Tick[] {
  const length = view.to - view.from;
  const most = Math.max(1, Math.floor(width / room));
  const step = STEPS.find((s) => length / s <= most);
  if (step === undefined) return monthTicks(view, most, now);
  if (step >= DAY) return dayTicks(view, Math.round(step / DAY), now);
  const ticks: Tick[] = [];
  // Steps below a day are counted from local midnight, which some offsets put at half past.
  const midnight = new Date(view.from).setHours(0, 0, 0, 0);
  for (let t = midnight + Math.ceil((view.from - midnight) / step) * step; t <= view.to; t += step) {
    const atMidnight = new Date(t).getHours() === 0 && new Date(t).getMinutes() === 0 && step >= MINUTE;
    ticks.push({ at: t, label: atMidnight ? day(t, now) : step < MINUTE ? clock(t) : clockMinute(t) });
  }
  return ticks;
}

function dayTicks(view: Span, days: number, now: number): Tick[] {
  const ticks: Tick[] = [];
  const d = new Date(view.from);
  d.setHours(0, 0, 0, 0);
  while (d.getTime() <= view.to) {
    // Counted from a fixed day, so that ticks do not jump while the picture moves.
    const number = Math.round((d.getTime() - d.getTimezoneOffset() * MINUTE) / DAY);
    if (d.getTime() >= view.from && number % days === 0)
      ticks.push({ at: d.getTime(), label: day(d.getTime(), now) });
    d.setDate(d.getDate() + 1);
  }
  return ticks;
}

function monthTicks(view: Span, most: number, now: number): Tick[] {
  const months = (view.to - view.from) / (30.4 * DAY);
  const step = [1, 2, 3, 6, 12, 24, 60].find((s) => months / s <= most) ?? 120;
  const ticks: Tick[] = [];
  const d = new Date(view.from);
  d.setHours(0, 0, 0, 0);
  d.setDate(1);
  while (d.getTime() <= view.to) {
    const number = d.getFullYear() * 12 + d.getMonth();
    if (d.getTime() >= view.from && number % step === 0) {
      ticks.push({ at: d.getTime(), label: step >= 12 ? String(d.getFullYear()) : day(d.getTime(), now) });
    }
    d.setMonth(d.getMonth() + 1);
  }
  return ticks;
}

/** How full: under the line, within a tenth of it, above. A floor is the other way round. */
export type LoadState = 'ok' | 'near' | 'over';

export function loadState(value: number | null, line: number, floor = false): LoadState {
  if (value === null) return 'ok';
  if (floor) return value < line ? 'over' : value < line * 1.1 ? 'near' : 'ok';
  return value > line ? 'over' : value > line * 0.9 ? 'near' : 'ok';
}
