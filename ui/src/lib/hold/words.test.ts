import { expect, it } from 'vitest';

import type { Hold, HoldStep } from '../bindings';
import { clockMinute } from '../format';
import { kept, length, losses, minutesOf, progressWords, spoken, stepWord, timeWords, whatOf } from './words';

const GIB = 2 ** 30;
const step = (more: Partial<HoldStep> = {}): HoldStep => ({
  service: 'chat',
  model: null,
  freed: false,
  restored: false,
  trouble: '',
  waits_for: 0,
  ...more,
});
const hold = (more: Partial<Hold> = {}): Hold => ({
  state: 'held',
  from_ms: 0,
  until_ms: 3_600_000,
  steps: [step({ freed: true })],
  vram_before_bytes: 20 * GIB,
  vram_after_bytes: 5 * GIB,
  ...more,
});

it('a length is one minute to a day, in whole minutes', () => {
  expect([1, 90, 1440].map((m) => minutesOf(m))).toEqual([1, 90, 1440]);
  for (const wrong of [0, -5, 1.5, 1441, NaN, null, undefined, '', 'soon'])
    expect(minutesOf(wrong)).toBeNull();
  expect([15, 60, 90, 240].map(length)).toEqual(['15 min', '1 h', '1 h 30 min', '4 h']);
});

it('the time that is left is rounded up, and counts seconds at the end', () => {
  const at = clockMinute(3_600_000);
  expect(timeWords(hold(), 500)).toBe(`1 h left, until ${at}`);
  expect(timeWords(hold(), 3_600_000 - 42 * 60_000)).toBe(`42 min left, until ${at}`);
  expect(timeWords(hold(), 3_600_000 - 42_000)).toBe(`42 s left, until ${at}`);
  expect(timeWords(hold(), 3_700_000)).toBe('it ends now');
});

it('says what was done, by bytes where they are measured and by number where not', () => {
  const two = [step({ freed: true }), step(), step({ trouble: 'It cannot.' })];
  expect(progressWords(hold({ state: 'freeing', steps: two }))).toBe('1 of 2 freed');
  expect(progressWords(hold())).toBe('15.0 GiB freed');
  expect(progressWords(hold({ vram_after_bytes: null }))).toBe('1 thing freed');
  expect(progressWords(hold({ steps: [step({ trouble: 'no' })] }))).toBe('nothing could be freed');
  const back = [step({ freed: true, restored: true }), step({ freed: true }), step({ trouble: 'no' })];
  expect(progressWords(hold({ state: 'restoring', steps: back }))).toBe('1 of 2 back');
});

it('what could not be freed is no loss, and what did not come back is one', () => {
  const steps = [
    step({ service: 'embed', trouble: 'It lets no model go.' }),
    step({ service: 'chat', freed: true, restored: true }),
    step({ service: 'whisper', model: 'large', freed: true, trouble: 'It answered 507.' }),
  ];
  const on = hold({ steps });
  const over = hold({ steps, state: 'ended' });
  expect(kept(on).map((s) => s.service)).toEqual(['embed']);
  expect([losses(on).length, losses(over).map((s) => s.service)]).toEqual([0, ['whisper']]);
  expect(steps.map((s) => stepWord(s, 'ended'))).toEqual(['not freed', 'back', 'not brought back']);
  expect([stepWord(step(), 'freeing'), stepWord(step({ freed: true, model: 'm' }), 'held')]).toEqual([
    'waits',
    'unloaded',
  ]);
  expect(stepWord(step({ waits_for: 2 }), 'freeing')).toBe('waits for 2 requests to end');
  expect(whatOf(steps[2]!, new Map([['whisper', 'Speech']]))).toBe('large on Speech');
  expect(spoken(over)).toBe('The GPU hold is over. 1 thing did not come back.');
  expect(spoken(null)).toBe('');
});
