// Numbers for people: binary units for bytes, SI for counts, three significant
// digits for sizes, a true minus, and never a rounding that says more than there is
// (999,999 bytes are 977 KiB, 1023.9 MiB are 1.00 GiB and not "1024 MiB").

import type { Unit } from './bindings';

/** A number and its unit, apart: the unit is written small and grey. */
export interface Quantity {
  value: string;
  unit: string;
}

/** "Does not apply". Unknown is said in words, never with this and never with 0. */
export const NONE = '–';
const MINUS = '−';

const BINARY = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
const SI = ['', 'k', 'M', 'G', 'T'];

/** Three significant digits; whole numbers from 100 on: 4.00, 20.6, 312. */
export function digits3(value: number): string {
  const size = Math.abs(value);
  // The limits are where the rounded text would get a digit too many: 9.995 reads 10.0, not 10.00.
  const decimals = size < 9.995 ? 2 : size < 99.95 ? 1 : 0;
  return signed(value, decimals);
}

/** With so many decimals and a true minus; never "−0". */
export function signed(value: number, decimals: number): string {
  const text = Math.abs(value).toFixed(decimals);
  const zero = Number(text) === 0;
  return (value < 0 && !zero ? MINUS : '') + text;
}

/** Index of the prefix in which the value reads below `base` after rounding to three digits. */
function step(value: number, base: number, last: number): number {
  let at = 0;
  let size = Math.abs(value);
  while (at < last && size >= base - 0.5) {
    size /= base;
    at += 1;
  }
  return at;
}

/** Bytes in binary units: 512 B, 1.31 MiB, 20.6 GiB. */
export function bytes(value: number): Quantity {
  const at = step(value, 1024, BINARY.length - 1);
  return { value: at === 0 ? signed(value, 0) : digits3(value / 1024 ** at), unit: BINARY[at] ?? 'B' };
}

/** Bytes in the unit of another size, for "of 24.0 GiB" beside "0.4". */
export function bytesAs(value: number, unit: string): string {
  const at = Math.max(0, BINARY.indexOf(unit));
  return at === 0 ? signed(value, 0) : digits3(value / 1024 ** at);
}

/** Counts in SI: 312, 2.10 k, 1.21 M. Below 10 with decimals only where there are any. */
export function count(value: number): Quantity {
  if (Math.abs(value) < 999.5) {
    return { value: Number.isInteger(value) ? signed(value, 0) : digits3(value), unit: '' };
  }
  const at = step(value, 1000, SI.length - 1);
  return { value: digits3(value / 1000 ** at), unit: SI[at] ?? '' };
}

/** Percent: one decimal below 10, whole above. 0.3 % must not read 0 %. */
export function percent(value: number): string {
  return Math.abs(value) < 9.95 ? signed(value, 1) : signed(value, 0);
}

/** Milliseconds: whole below 10 s (with a decimal below 10 ms), `10.0 s` above. */
export function millis(value: number): Quantity {
  if (Math.abs(value) >= 9999.5) return { value: digits3(value / 1000), unit: 's' };
  return { value: signed(value, Math.abs(value) < 9.95 ? 1 : 0), unit: 'ms' };
}

/** A measured value in its unit. */
export function quantity(value: number, unit: Unit | null): Quantity {
  switch (unit) {
    case 'bytes':
      return bytes(value);
    case 'bytes_per_second': {
      const rate = bytes(value);
      return { value: rate.value, unit: `${rate.unit}/s` };
    }
    case 'percent':
      return { value: percent(value), unit: '%' };
    case 'celsius':
      return { value: signed(value, 0), unit: '°C' };
    case 'watts':
      return { value: Math.abs(value) < 9.95 ? signed(value, 1) : signed(value, 0), unit: 'W' };
    case 'joules': {
      const kwh = value / 3.6e6;
      return kwh >= 0.1 ? { value: digits3(kwh), unit: 'kWh' } : { value: digits3(value / 1000), unit: 'kJ' };
    }
    case 'megahertz':
      return Math.abs(value) >= 999.5
        ? { value: digits3(value / 1000), unit: 'GHz' }
        : { value: signed(value, 0), unit: 'MHz' };
    case 'milliseconds':
      return millis(value);
    case 'flag':
      return { value: value > 0 ? 'yes' : 'no', unit: '' };
    case 'count':
    case null:
      return count(value);
  }
}

/** The same as one text: `20.6 GiB`, `71 %`, `4`. */
export function text(value: number | null | undefined, unit: Unit | null): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return NONE;
  const { value: number, unit: suffix } = quantity(value, unit);
  return suffix ? `${number} ${suffix}` : number;
}

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A span in its largest sensible unit: 42 s, 12 min, 3 h 20 min, 6 d. Never rounds up to a span that is not over. */
export function span(ms: number): string {
  const s = Math.max(0, ms);
  if (s < MINUTE) return `${Math.floor(s / SECOND)} s`;
  if (s < HOUR) return `${Math.floor(s / MINUTE)} min`;
  if (s < DAY) {
    const h = Math.floor(s / HOUR);
    const min = Math.floor((s % HOUR) / MINUTE);
    return h < 10 && min > 0 ? `${h} h ${min} min` : `${h} h`;
  }
  if (s < 730 * DAY) return `${Math.floor(s / DAY)} d`;
  return `${Math.floor(s / (365 * DAY))} y`;
}

const two = (n: number) => String(n).padStart(2, '0');
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const WEEKDAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];

/** 14:32:08, local time. */
export function clock(ms: number): string {
  const d = new Date(ms);
  return `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
}

/** 14:32, local time. */
export function clockMinute(ms: number): string {
  const d = new Date(ms);
  return `${two(d.getHours())}:${two(d.getMinutes())}`;
}

/** 16 Nov, with the year where it is another one. */
export function day(ms: number, now: number): string {
  const d = new Date(ms);
  const year = d.getFullYear() === new Date(now).getFullYear() ? '' : ` ${d.getFullYear()}`;
  return `${d.getDate()} ${MONTHS[d.getMonth()] ?? ''}${year}`;
}

/** When something happened, as short as it stays clear: 14:16, Mon 21:40, 7 Oct 09:12. */
export function when(ms: number, now: number): string {
  const d = new Date(ms);
  if (d.toDateString() === new Date(now).toDateString()) return clockMinute(ms);
  if (now > ms && now - ms < 6 * DAY) return `${WEEKDAYS[d.getDay()] ?? ''} ${clockMinute(ms)}`;
  return `${day(ms, now)} ${clockMinute(ms)}`;
}

/** From and to of a range: `08:32 – 14:32`, `16 Nov 08:32 – 14:32`, `16 Nov 21:00 – 17 Nov 09:00`. */
export function between(from: number, to: number, now: number): string {
  const seconds = to - from < 10 * MINUTE;
  const time = seconds ? clock : clockMinute;
  const date = new Date(from).toDateString();
  if (date === new Date(to).toDateString()) {
    const on = date === new Date(now).toDateString() ? '' : `${day(from, now)} `;
    return `${on}${time(from)} – ${time(to)}`;
  }
  return `${day(from, now)} ${time(from)} – ${day(to, now)} ${time(to)}`;
}

/** Money: 3.20 EUR. Below a cent it says so. */
export function money(value: number, currency: string): Quantity {
  if (value > 0 && value < 0.005) return { value: '< 0.01', unit: currency };
  return { value: value < 999.5 ? signed(value, 2) : digits3(value), unit: currency };
}

/** `1 alert`, `2 alerts`. */
export function plural(n: number, one: string, many = `${one}s`): string {
  return `${n} ${n === 1 ? one : many}`;
}
