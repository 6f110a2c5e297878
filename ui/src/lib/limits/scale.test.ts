import { describe, expect, it } from 'vitest';

import type { LimitInfo } from '../bindings';
import {
  nextPreset,
  placeOf,
  presetMarks,
  round,
  spread,
  stepped,
  trackOf,
  valueAt,
  type Track,
} from './scale';

const limit = (more: Partial<LimitInfo> = {}): LimitInfo => ({
  key: 'services.chat.max_in_flight',
  group: 'concurrency',
  title: 'Requests at once, chat',
  meaning: '',
  of: 'chat',
  accepts: { type: 'integer', min: 1, max: 65536 },
  unit: 'requests',
  default: 4,
  value: 4,
  origin: { from: 'default' },
  in_force: null,
  in_force_why: '',
  lock: null,
  conservative: 2,
  balanced: 4,
  aggressive: 8,
  slider: { min: 1, max: 16, step: 1, log: false },
  stop: null,
  chart: null,
  takes_hold: { when: 'live' },
  ...more,
});
const LOG: Track = { min: 1, max: 2000, step: 1, log: true, zero: false, low: 1, high: 2000 };
const ZERO: Track = { ...LOG, zero: true, low: 0 };

describe('a slider', () => {
  it('finds back to the value that stands at a place', () => {
    for (const track of [LOG, ZERO, { min: 0, max: 16, low: 0, high: 16, step: 1, log: false, zero: false }])
      for (const value of [1, 2, 7, 16]) expect(valueAt(track, placeOf(track, value))).toBe(value);
  });

  it('by factors keeps two digits, so that a hand does not choose 1037', () => {
    expect(round(LOG, 1037)).toBe(1000);
    expect(round(LOG, 437)).toBe(440);
    expect(round(LOG, 43.7)).toBe(44);
    expect(stepped(LOG, 1000, true)).toBe(1100);
    expect(stepped(LOG, 1000, false)).toBe(990);
    expect(stepped(LOG, 100, true, true)).toBe(200);
  });

  it('ends where another limit would refuse more, or less', () => {
    const slider = { min: 16, max: 8192, step: 1, log: true };
    const least = trackOf(limit({ slider }), { side: 'at_least', value: 64 });
    const most = trackOf(limit({ slider }), { side: 'at_most', value: 500 });
    if (!least || !most) throw new Error('each has a track');
    expect([valueAt(least, 0), valueAt(least, 1)]).toEqual([64, 8192]);
    expect([valueAt(most, 0), valueAt(most, 1)]).toEqual([16, 500]);
    expect([stepped(least, 64, false), stepped(least, 70, false, true)]).toEqual([64, 64]);
    expect([stepped(most, 500, true), round(most, 2000)]).toEqual([500, 500]);
    // Its places stay where they are, so that nothing moves with the other one.
    expect(placeOf(least, 64)).toBe(placeOf(most, 64));
    const from0 = limit({ slider: { ...slider, min: 1 }, accepts: { type: 'integer', min: 0, max: 9000 } });
    const held = trackOf(from0, { side: 'at_least', value: 50 });
    expect(held?.zero).toBe(true);
    expect(held && [valueAt(held, 0), stepped(held, 50, false), nextPreset(from0, 60, false, held)]).toEqual([
      50,
      50,
      null,
    ]);
  });

  it('has a place for 0 where no factor reaches it', () => {
    expect(trackOf(limit({ slider: LOG, accepts: { type: 'integer', min: 0, max: 9 } }))?.zero).toBe(true);
    expect(placeOf(ZERO, 0)).toBe(0);
    expect(valueAt(ZERO, 0.01)).toBe(0);
    expect(stepped(ZERO, 1, false)).toBe(0);
    expect(stepped(ZERO, 0, true)).toBe(1);
    expect(stepped(LOG, 1, false)).toBe(1);
  });

  it('stays within its ends, wherever the hand goes', () => {
    expect(valueAt(LOG, 4)).toBe(2000);
    expect(valueAt(LOG, -4)).toBe(1);
    expect(placeOf(LOG, 99_999)).toBe(1);
  });

  it('has no binary tails on its steps', () => {
    const tenth: Track = { min: 0, max: 1, low: 0, high: 1, step: 0.01, log: false, zero: false };
    expect(stepped(tenth, 0.29, true)).toBe(0.3);
  });
});

describe('presets', () => {
  it('stand in order of their places, and those that say the same are one', () => {
    const marks = presetMarks(limit({ conservative: 12, balanced: 4, aggressive: 4 }));
    expect(marks.map((m) => [m.letters, m.names, m.value])).toEqual([
      ['BA', 'Balanced and Aggressive', 4],
      ['C', 'Conservative', 12],
    ]);
  });

  it('that are a word stand where the word holds now', () => {
    const auto = limit({ value: 'auto', default: 'auto', balanced: 'auto', in_force: 6 });
    expect(presetMarks(auto).find((m) => m.letters === 'B')?.place).toBeCloseTo(1 / 3);
    const set = limit({ value: 4, balanced: 'auto' });
    expect(presetMarks(set).find((m) => m.letters === 'B')?.place).toBeNull();
  });

  it('are gone to one after the other', () => {
    expect(nextPreset(limit(), 4, true)).toBe(8);
    expect(nextPreset(limit(), 5, false)).toBe(4);
    expect(nextPreset(limit(), 8, true)).toBeNull();
  });
});

it('labels never lie over each other and never beyond the edges, however near their ticks', () => {
  const widths = [30, 46, 60];
  for (let a = 0; a <= 300; a += 25)
    for (let b = a; b <= 300; b += 25)
      for (let c = b; c <= 300; c += 25) {
        const x = spread([a, b, c], widths, 300);
        const left = x.map((at, i) => at - (widths[i] ?? 0) / 2);
        const right = x.map((at, i) => at + (widths[i] ?? 0) / 2);
        expect(left[0]).toBeGreaterThanOrEqual(0);
        expect(left[1]).toBeGreaterThanOrEqual((right[0] ?? 0) + 11.9);
        expect(left[2]).toBeGreaterThanOrEqual((right[1] ?? 0) + 11.9);
        expect(right[2]).toBeLessThanOrEqual(300.01);
      }
});
