import { describe, expect, it } from 'vitest';

import { bytes, count, digits3, millis, percent, signed, span, text } from './format';

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
});

it('three significant digits stay three when rounding carries', () => {
  expect(digits3(9.994)).toBe('9.99');
  expect(digits3(9.996)).toBe('10.0');
  expect(digits3(99.94)).toBe('99.9');
  expect(digits3(99.96)).toBe('100');
  expect(digits3(4)).toBe('4.00');
});

it('a minus is a true minus and zero has none', () => {
  expect(signed(-1.5, 1)).toBe('−1.5');
  expect(signed(-0.04, 1)).toBe('0.0');
});

it('a small percentage does not read zero', () => {
  expect(percent(0.3)).toBe('0.3');
  expect(percent(9.96)).toBe('10');
  expect(percent(71.4)).toBe('71');
});

it('counts carry SI prefixes from a thousand on', () => {
  expect(count(312)).toEqual({ value: '312', unit: '' });
  expect(count(999.6)).toEqual({ value: '1.00', unit: 'k' });
  expect(count(2100)).toEqual({ value: '2.10', unit: 'k' });
  expect(count(0.25)).toEqual({ value: '0.25', unit: '' });
});

it('milliseconds turn to seconds at ten of them', () => {
  expect(millis(800)).toEqual({ value: '800', unit: 'ms' });
  expect(millis(9999)).toEqual({ value: '9999', unit: 'ms' });
  expect(millis(10_000)).toEqual({ value: '10.0', unit: 's' });
});

it('an unknown value is never a zero', () => {
  expect(text(null, 'bytes')).toBe('–');
  expect(text(Number.NaN, 'percent')).toBe('–');
  expect(text(0, 'percent')).toBe('0.0 %');
});

it('a span never claims time that has not passed', () => {
  expect(span(59_999)).toBe('59 s');
  expect(span(3_599_999)).toBe('59 min');
  expect(span(12_000_000)).toBe('3 h 20 min');
  expect(span(86_400_000 * 41.9)).toBe('41 d');
});
