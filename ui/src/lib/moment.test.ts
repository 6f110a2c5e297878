import { expect, it } from 'vitest';

import { parseMoment, writeMoment } from './moment';

const now = new Date(2026, 10, 21, 15, 30).getTime();

it('reads a day with a time, a day alone and a time of today', () => {
  expect(parseMoment('2026-11-21 12:50', now)).toBe(new Date(2026, 10, 21, 12, 50).getTime());
  expect(parseMoment('2026-11-20T12:50:09', now)).toBe(new Date(2026, 10, 20, 12, 50, 9).getTime());
  expect(parseMoment('2026-11-20', now)).toBe(new Date(2026, 10, 20).getTime());
  expect(parseMoment(' 9:05 ', now)).toBe(new Date(2026, 10, 21, 9, 5).getTime());
});

it('does not turn a typo into another day', () => {
  for (const text of [
    '',
    'yesterday',
    '2026-02-30 10:00',
    '2026-13-01',
    '25:00',
    '12:60',
    '2026-11-21 12:50:60',
  ]) {
    expect(parseMoment(text, now), text).toBeNull();
  }
});

it('writes what it reads', () => {
  const at = new Date(2026, 0, 5, 7, 8, 9).getTime();
  expect(writeMoment(at, true)).toBe('2026-01-05 07:08:09');
  expect(parseMoment(writeMoment(at, true), now)).toBe(at);
});
