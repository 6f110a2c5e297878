// A limit on its slider: where a value stands, what value stands at a place, one step
// further, and labels that never lie over each other. Pure.

import type { LimitInfo, LimitSide, LimitSlider, SettingValue } from '../bindings';
import { same, write } from '../settings/values';

/** Share of a slider by factors that stands for 0, which no factor reaches. */
const ZERO_ROOM = 0.06;

/** The slider with whether 0 lies before its beginning, and the part of it that can be reached. */
export interface Track extends LimitSlider {
  zero: boolean;
  low: number;
  high: number;
}

/** Where another limit would refuse a value. */
export interface Stop {
  side: LimitSide;
  value: number;
}

export function trackOf({ slider, accepts }: LimitInfo, stop: Stop | null = null): Track | null {
  if (slider === null) return null;
  const { min, max, log } = slider;
  const least = 'min' in accepts ? accepts.min : min;
  const zero = log && least <= 0 && min > 0;
  const first = zero ? 0 : min;
  return {
    ...slider,
    zero,
    low: stop?.side === 'at_least' ? clamp(stop.value, first, max) : first,
    high: stop?.side === 'at_most' ? clamp(stop.value, first, max) : max,
  };
}

/** Where a value stands, from 0 to 1; what lies beyond an end stands on it. */
export function placeOf(track: Track, value: number): number {
  const { min, max, log, zero } = track;
  if (max <= min || (zero && value <= 0)) return 0;
  const room = zero ? ZERO_ROOM : 0;
  const share = log
    ? Math.log(Math.max(value, min) / min) / Math.log(max / min)
    : (value - min) / (max - min);
  return room + (1 - room) * clamp(share, 0, 1);
}

/** The value at a place, on a step that a person would choose. */
export function valueAt(track: Track, place: number): number {
  const { min, max, log, zero } = track;
  const room = zero ? ZERO_ROOM : 0;
  if (zero && place < room / 2) return track.low;
  const share = clamp((place - room) / (1 - room), 0, 1);
  return round(track, log ? min * (max / min) ** share : min + share * (max - min));
}

/** One step up or down; `far` is ten of them. */
export function stepped(track: Track, value: number, up: boolean, far = false): number {
  const { min, zero, low, high } = track;
  const step = stepAt(track, up ? value : value * (1 - 1e-6)) * (far ? 10 : 1);
  const next = tidy(value + (up ? step : -step));
  if (zero && (next < min || (value <= 0 && up))) return clamp(up ? min : 0, low, high);
  return round(track, next);
}

/** The nearest value that stands on a step, within what can be reached. */
export function round({ min, max, low, high, log, step }: Track, value: number): number {
  const wide = stepAt({ step, log }, value);
  const origin = log ? 0 : min;
  const next = clamp(tidy(origin + Math.round((value - origin) / wide) * wide), min, max);
  return clamp(next, low, high);
}

/** By factors, a step is one of the second digit: 1 below 100, 10 below 1000. */
function stepAt({ step, log }: Pick<Track, 'step' | 'log'>, value: number): number {
  if (!log || value <= 0) return step;
  return Math.max(step, 10 ** (Math.floor(Math.log10(value) + 1e-9) - 1));
}

const clamp = (value: number, low: number, high: number) => Math.min(high, Math.max(low, value));
/** Without the tail of binary fractions: 0.30000000000000004. */
const tidy = (value: number) => Number(value.toPrecision(12));

export interface PresetMark {
  /** E.g. `C`, or `BA` where two say the same. */
  letters: string;
  /** E.g. `Balanced and Aggressive`. */
  names: string;
  value: SettingValue;
  text: string;
  /** From 0 to 1; `null` where it is a word and stands for no number that is known. */
  place: number | null;
}

/** What the presets say of a limit, by their places; those that say the same are one. */
export function presetMarks(limit: LimitInfo): PresetMark[] {
  const track = trackOf(limit);
  const marks: PresetMark[] = [];
  for (const [letter, name, value] of [
    ['C', 'Conservative', limit.conservative],
    ['B', 'Balanced', limit.balanced],
    ['A', 'Aggressive', limit.aggressive],
  ] as const) {
    if (value === null) continue;
    const known = marks.find((mark) => same(mark.value, value));
    if (known) {
      known.letters += letter;
      known.names += ` and ${name}`;
      continue;
    }
    const number = numberOf(limit, value);
    const place = track !== null && number !== null ? placeOf(track, number) : null;
    marks.push({ letters: letter, names: name, value, text: write(value), place });
  }
  return marks.sort((a, b) => (a.place ?? -1) - (b.place ?? -1));
}

/** A value as a number: that of a word is known where the word holds now. */
export function numberOf(limit: LimitInfo, value: SettingValue): number | null {
  if (typeof value === 'number') return value;
  return same(value, limit.value) ? limit.in_force : null;
}

/** Whether a value lies on the part of the slider that can be reached; a word always does. */
export function reaches(track: Track, number: number | null): boolean {
  return number === null || (number >= track.low && number <= track.high);
}

/** The next preset above or below, for PageUp and PageDown. */
export function nextPreset(
  limit: LimitInfo,
  value: SettingValue,
  up: boolean,
  track = trackOf(limit),
): SettingValue | null {
  const number = numberOf(limit, value);
  if (track === null || number === null) return null;
  const at = placeOf(track, number);
  const marks = presetMarks(limit).filter(
    (mark) => mark.place !== null && reaches(track, numberOf(limit, mark.value)),
  );
  const beyond = marks.filter((m) => (up ? (m.place ?? 0) > at + 1e-9 : (m.place ?? 0) < at - 1e-9));
  return (up ? beyond[0] : beyond.at(-1))?.value ?? null;
}

/** Middles of labels of these widths: as near to the wanted places as they fit, in order, and apart. */
export function spread(
  wanted: readonly number[],
  widths: readonly number[],
  width: number,
  apart = 12,
): number[] {
  const half = (i: number) => (widths[i] ?? 0) / 2;
  const x = wanted.map((at, i) => clamp(at, half(i), Math.max(half(i), width - half(i))));
  const least = (i: number) => half(i) + half(i + 1) + apart;
  for (let i = x.length - 2; i >= 0; i--) x[i] = Math.min(x[i] ?? 0, (x[i + 1] ?? 0) - least(i));
  if (x.length > 0) x[0] = Math.max(x[0] ?? 0, half(0));
  for (let i = 1; i < x.length; i++) x[i] = Math.max(x[i] ?? 0, (x[i - 1] ?? 0) + least(i - 1));
  return x;
}
