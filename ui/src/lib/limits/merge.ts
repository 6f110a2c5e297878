// One draft in several windows: what is said of it is single changes, and what comes from
// elsewhere is put together with what was staged here meanwhile. Pure.

import type { LimitsStage, SettingValue } from '../bindings';
import { same, type Staged } from '../settings/values';

/** A key that somebody else staged otherwise, or no more. */
export interface Elsewhere {
  key: string;
  /** As both had it before. */
  was: SettingValue | null | undefined;
  /** As it is staged there; `undefined`: no more. */
  there: SettingValue | null | undefined;
  /** What was staged here meanwhile goes before it. */
  mine: boolean;
}

/** Whether both stage the same of a key; `undefined` is nothing. */
function alike(a: SettingValue | null | undefined, b: SettingValue | null | undefined): boolean {
  return a === b || (a != null && b != null && same(a, b));
}

/** The changes that make the one of the other. */
export function changesTo(from: Staged, to: Staged): Pick<LimitsStage, 'set' | 'clear'> {
  return {
    set: [...to]
      .filter(([key, value]) => !alike(from.get(key), value))
      .map(([key, value]) => ({ key, value })),
    clear: [...from.keys()].filter((key) => !to.has(key)),
  };
}

export function changedBy(staged: Staged, { set, clear }: Pick<LimitsStage, 'set' | 'clear'>): Staged {
  const next = new Map(staged);
  for (const key of clear) next.delete(key);
  for (const { key, value } of set) next.set(key, value);
  return next;
}

/**
 * What was staged here and there since both had `base`: what was touched here is as it is here,
 * all else as it is there.
 */
export function merged(
  base: Staged,
  mine: Staged,
  there: Staged,
): { staged: Staged; elsewhere: Elsewhere[] } {
  const staged = new Map(mine);
  const elsewhere: Elsewhere[] = [];
  for (const key of new Set([...base.keys(), ...there.keys()])) {
    const now = there.get(key);
    if (alike(base.get(key), now) || alike(mine.get(key), now)) continue;
    const touched = !alike(base.get(key), mine.get(key));
    elsewhere.push({ key, was: base.get(key), there: now, mine: touched });
    if (touched) continue;
    if (now === undefined) staged.delete(key);
    else staged.set(key, now);
  }
  return { staged, elsewhere };
}
