import { describe, expect, it } from 'vitest';

import {
  between,
  bytes,
  bytesAs,
  clock,
  count,
  day,
  digits3,
  millis,
  money,
  percent,
  plural,
  quantity,
  signed,
  span,
  text,
  when,
} from './format';

describe('bytes', () => {
  it.each([
    [0, '0 B'],
    [512, '512 B'],
    [1023, '1023 B'],
    [1024, '1.00 KiB'],
    [999_999, '977 KiB'],
    [1_048_575, '1.00 MiB'],
    [1_048_576, '1.00 MiB'],
    [22_119_710_720, '20.6 GiB'],
    [1_099_511_627_775, '1.00 TiB'],
    [-2_147_483_648, '−2.00 GiB'],
  ])('%d reads %s', (value, expected) => {
    const { value: number, unit } = bytes(value);
    expect(`${number} ${unit}`).toBe(expected);
  });

  it('never shows a thousand and more of a unit that has a larger one', () => {
    for (let exponent = 11; exponent < 50; exponent += 0.03) {
      const { value, unit } = bytes(2 ** exponent);
      expect(Number(value), `2^${exponent} is ${value} ${unit}`).toBeLessThan(1024);
      expect(Number(value)).toBeGreaterThanOrEqual(1);
    }
  });

  it('stands beside another size in that size’s unit', () => {
    expect(bytesAs(0.4 * 2 ** 30, 'GiB')).toBe('0.40');
    expect(bytesAs(1.31 * 2 ** 40, 'GiB')).toBe('1341');
    expect(bytesAs(700, 'B')).toBe('700');
  });
});

it('three significant digits stay three when rounding carries', () => {
  expect(digits3(9.994)).toBe('9.99');
  expect(digits3(9.996)).toBe('10.0');
  expect(digits3(99.94)).toBe('99.9');
  expect(digits3(99.96)).toBe('100');
  expect(digits3(4)).toBe('4.00');
  expect(digits3(312.4)).toBe('312');
});

it('a minus is a true minus and zero has none', () => {
  expect(signed(-1.5, 1)).toBe('−1.5');
  expect(signed(-0.04, 1)).toBe('0.0');
});

it('a small percentage does not read zero', () => {
  expect(percent(0.3)).toBe('0.3');
  expect(percent(9.94)).toBe('9.9');
  expect(percent(9.96)).toBe('10');
  expect(percent(71.4)).toBe('71');
});

it('counts carry SI prefixes from a thousand on', () => {
  expect(count(312)).toEqual({ value: '312', unit: '' });
  expect(count(999.6)).toEqual({ value: '1.00', unit: 'k' });
  expect(count(2100)).toEqual({ value: '2.10', unit: 'k' });
  expect(count(1_210_000)).toEqual({ value: '1.21', unit: 'M' });
  expect(count(0.25)).toEqual({ value: '0.25', unit: '' });
});

it('milliseconds turn to seconds at ten of them', () => {
  expect(millis(0.6)).toEqual({ value: '0.6', unit: 'ms' });
  expect(millis(800)).toEqual({ value: '800', unit: 'ms' });
  expect(millis(9999)).toEqual({ value: '9999', unit: 'ms' });
  expect(millis(10_000)).toEqual({ value: '10.0', unit: 's' });
});

it('every unit has its own way', () => {
  expect(text(68.4, 'celsius')).toBe('68 °C');
  expect(text(287.3, 'watts')).toBe('287 W');
  expect(text(10_501, 'megahertz')).toBe('10.5 GHz');
  expect(text(905_000, 'joules')).toBe('0.25 kWh');
  expect(text(1, 'flag')).toBe('yes');
  expect(quantity(3_250_586, 'bytes_per_second')).toEqual({ value: '3.10', unit: 'MiB/s' });
});

it('an unknown value is never a zero', () => {
  expect(text(null, 'bytes')).toBe('–');
  expect(text(undefined, 'bytes')).toBe('–');
  expect(text(Number.NaN, 'percent')).toBe('–');
  expect(text(0, 'percent')).toBe('0.0 %');
});

it('a span never claims time that has not passed', () => {
  expect(span(-5)).toBe('0 s');
  expect(span(59_999)).toBe('59 s');
  expect(span(3_599_999)).toBe('59 min');
  expect(span(12_000_000)).toBe('3 h 20 min');
  expect(span(86_399_999)).toBe('23 h');
  expect(span(86_400_000 * 41.9)).toBe('41 d');
  expect(span(86_400_000 * 900)).toBe('2 y');
});

describe('moments', () => {
  const now = new Date(2026, 10, 17, 14, 32, 8).getTime();

  it('today is a time, this week has its weekday, longer ago its date', () => {
    expect(when(new Date(2026, 10, 17, 9, 5).getTime(), now)).toBe('09:05');
    expect(when(new Date(2026, 10, 16, 21, 40).getTime(), now)).toBe('Mon 21:40');
    expect(when(new Date(2026, 9, 7, 9, 12).getTime(), now)).toBe('7 Oct 09:12');
    expect(when(new Date(2025, 9, 7, 9, 12).getTime(), now)).toBe('7 Oct 2025 09:12');
  });

  it('a weekday of the coming week is not this one', () => {
    expect(when(new Date(2026, 10, 18, 9, 0).getTime(), now)).toBe('18 Nov 09:00');
  });

  it('a range names its days only where it must', () => {
    expect(between(now - 6 * 3_600_000, now, now)).toBe('08:32 – 14:32');
    expect(between(now - 300_000, now, now)).toBe('14:27:08 – 14:32:08');
    expect(between(now - 86_400_000, now, now)).toBe('16 Nov 14:32 – 17 Nov 14:32');
    expect(between(now - 90_000_000, now - 86_400_000, now)).toBe('16 Nov 13:32 – 14:32');
  });

  it('reads clock and day', () => {
    expect(clock(now)).toBe('14:32:08');
    expect(day(now, now)).toBe('17 Nov');
  });
});

it('money below half a cent says so', () => {
  expect(money(0.004, 'EUR')).toEqual({ value: '< 0.01', unit: 'EUR' });
  expect(money(0, 'EUR')).toEqual({ value: '0.00', unit: 'EUR' });
  expect(money(3.2, 'EUR').value).toBe('3.20');
});

it('one is not many', () => {
  expect(plural(1, 'alert')).toBe('1 alert');
  expect(plural(2, 'process', 'processes')).toBe('2 processes');
});
