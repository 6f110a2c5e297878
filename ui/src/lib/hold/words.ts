// What is said of a hold. Pure.

import { MAX_HOLD_MINUTES, type Hold, type HoldStep } from '../bindings';
import { clockMinute, plural, span, text } from '../format';

export const CHOICES: readonly [minutes: number, label: string][] = [
  [15, '15 min'],
  [60, '1 h'],
  [240, '4 h'],
];

/** `1 h 30 min`, `4 h`, `15 min`. */
export function length(minutes: number): string {
  const h = Math.floor(minutes / 60);
  const min = minutes % 60;
  return [h > 0 ? `${h} h` : '', min > 0 || h === 0 ? `${min} min` : ''].filter(Boolean).join(' ');
}

/** Whole minutes that a person typed; `null` where they are none that are allowed. */
export function minutesOf(typed: string | number | null | undefined): number | null {
  const value = typeof typed === 'number' ? typed : Number(String(typed ?? '').trim() || NaN);
  return Number.isInteger(value) && value >= 1 && value <= MAX_HOLD_MINUTES ? value : null;
}

/** What was taken away and did not come back. */
export function losses(hold: Hold): HoldStep[] {
  return hold.state === 'ended' ? hold.steps.filter((s) => s.freed && !s.restored && s.trouble !== '') : [];
}

/** What could not be freed. */
export function kept(hold: Hold): HoldStep[] {
  return hold.steps.filter((s) => !s.freed && s.trouble !== '');
}

/** `bge-m3 on embed`, `whisper`. */
export function whatOf(step: HoldStep, names: ReadonlyMap<string, string>): string {
  const name = names.get(step.service) ?? step.service;
  return step.model === null ? name : `${step.model} on ${name}`;
}

/** How far a step is, in a word. */
export function stepWord(step: HoldStep, state: Hold['state']): string {
  const taken = step.model === null ? 'stopped' : 'unloaded';
  if (step.restored) return 'back';
  if (step.waits_for > 0) return `waits for ${plural(step.waits_for, 'request')} to end`;
  if (step.freed) return step.trouble !== '' ? 'not brought back' : taken;
  if (step.trouble !== '') return 'not freed';
  return state === 'freeing' ? 'waits' : 'left';
}

/** VRAM that became free since it began; `null` where it is not measured. */
export function freedBytes(hold: Hold): number | null {
  const { vram_before_bytes: before, vram_after_bytes: after } = hold;
  return before === null || after === null ? null : Math.max(0, before - after);
}

/** The first words of the strip: `42 min left, until 15:32`. */
export function timeWords(hold: Hold, now: number): string {
  const left = hold.until_ms - now;
  const until = clockMinute(hold.until_ms);
  // Whole minutes are rounded up: an hour that just began is an hour, and the picture is a little old.
  const words = left >= 90_000 ? span(Math.ceil((left - 2000) / 60_000) * 60_000) : span(Math.max(0, left));
  return left < 1000 ? 'it ends now' : `${words} left, until ${until}`;
}

/** Steps that are done, of those that can be: freed, and then brought back. */
export function progressOf({ state, steps }: Hold): { done: number; of: number } {
  const freed = steps.filter((s) => s.freed);
  if (state === 'restoring') return { done: freed.filter((s) => s.restored).length, of: freed.length };
  return { done: freed.length, of: steps.filter((s) => s.freed || s.trouble === '').length };
}

/** What was done so far: `15.5 GiB freed`, `2 of 3 freed`. */
export function progressWords(hold: Hold): string {
  const { done, of } = progressOf(hold);
  if (hold.state === 'restoring') return `${done} of ${of} back`;
  if (hold.state === 'freeing') return `${done} of ${of} freed`;
  if (done === 0) return 'nothing could be freed';
  const bytes = freedBytes(hold);
  return `${bytes === null ? plural(done, 'thing') : text(bytes, 'bytes')} freed`;
}

/** Said aloud when its state changes. */
export function spoken(hold: Hold | null): string {
  switch (hold?.state) {
    case 'freeing':
      return 'The GPU is being freed.';
    case 'held': {
      const stays = kept(hold).length;
      return `The GPU is held until ${clockMinute(hold.until_ms)}, ${progressWords(hold)}${
        stays > 0 ? `, ${stays} not` : ''
      }.`;
    }
    case 'restoring':
      return 'The GPU hold ends: everything is being brought back.';
    case 'ended': {
      const lost = losses(hold).length;
      return lost > 0 ? `The GPU hold is over. ${plural(lost, 'thing')} did not come back.` : '';
    }
    default:
      return '';
  }
}
