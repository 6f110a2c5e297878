// A revision in one line, and what going back to it would change.

import type { Changed, Revision, SettingValue } from '../../lib/bindings';
import { ruleOf, same, write } from '../../lib/settings/values';

export interface Summary {
  name: string;
  old: string | null;
  now: string | null;
}

const short = (key: string) => {
  const rule = ruleOf(key);
  return rule ? `${rule.id}.${rule.field}` : key;
};

export function summary(
  revision: Revision,
  say: (key: string, value: SettingValue) => string = (_, value) => write(value),
): Summary {
  if (revision.rolled_back_to !== null)
    return { name: `Rollback to ${revision.rolled_back_to}`, old: null, now: null };
  const [first, ...others] = revision.changed;
  if (!first)
    return { name: revision.by === 'start' ? 'First start' : 'Comments or order', old: null, now: null };
  if (others.length === 0)
    return { name: short(first.key), old: say(first.key, first.old), now: say(first.key, first.new) };
  const heads = new Set(revision.changed.map((c) => c.key.split('.')[0]));
  const [head] = heads;
  return {
    name: `${revision.changed.length} values${heads.size === 1 ? ` in ${head}` : ''}`,
    old: null,
    now: null,
  };
}

/**
 * What a rollback to `target` changes, worked out from the revisions after it:
 * for each key its value now, and the one it had then.
 */
export function wayBack(revisions: readonly Revision[], target: number, inForce: number | null): Changed[] {
  const later = revisions
    .filter((r) => r.number > target && (inForce === null || r.number <= inForce))
    .sort((a, b) => b.number - a.number);
  const keys = new Map<string, { now: SettingValue; then: SettingValue }>();
  for (const { changed } of later) {
    for (const { key, old, new: value } of changed) {
      const known = keys.get(key);
      if (known) known.then = old;
      else keys.set(key, { now: value, then: old });
    }
  }
  return [...keys]
    .filter(([, v]) => !same(v.now, v.then))
    .map(([key, v]) => ({ key, old: v.now, new: v.then }));
}
