// What the page lists: by group, by what is staged, by a search, by a revision. Pure.

import type { LimitGroupInfo, LimitInfo, LimitsView } from '../../lib/bindings';
import { finds } from '../../lib/limits/words';

/** Revisions that are named beside the list; all of them stand in Settings. */
export const SHOWN_REVISIONS = 4;

export interface Listed {
  id: string;
  title: string;
  limits: LimitInfo[];
}

/** Groups with what of them is wanted; those without anything are left out. */
export function listed(
  view: LimitsView,
  wants: (limit: LimitInfo, group: LimitGroupInfo) => boolean,
): Listed[] {
  return view.groups
    .map((group) => ({
      id: group.id,
      title: group.title,
      limits: view.limits.filter((limit) => limit.group === group.id && wants(limit, group)),
    }))
    .filter((group) => group.limits.length > 0);
}

/** `all`, `staged`, a group, or `r-38` for what a revision changed; a search goes over all. */
export function shownOf(
  view: LimitsView,
  at: string,
  search: string,
  staged: ReadonlySet<string>,
  changed: ReadonlySet<string>,
): Listed[] {
  const text = search.trim();
  if (text !== '') return listed(view, (limit, group) => finds(limit, group.title, text));
  if (at === 'all') return listed(view, () => true);
  if (at === 'staged') return listed(view, (limit) => staged.has(limit.key));
  if (revisionAt(at) !== null) return listed(view, (limit) => changed.has(limit.key));
  return listed(view, (_, group) => group.id === at);
}

/** The sentences that were not said before. */
export function unsaid(text: string, said: string): string {
  const sentences = (of: string) => of.split(/(?<=\.)\s+/);
  const known = new Set(sentences(said));
  return sentences(text)
    .filter((sentence) => !known.has(sentence))
    .join(' ');
}

/** As many whole sentences as there is room for, and at least one. */
export function brief(text: string, letters = 110): string {
  const [first = '', ...rest] = text.split(/(?<=\.)\s+/);
  let said = first;
  for (const sentence of rest) {
    if (said.length + 1 + sentence.length > letters) break;
    said += ` ${sentence}`;
  }
  return said;
}

export const firstSentence = (text: string): string => text.split(/(?<=\.)\s+/)[0] ?? '';

/** Number of the revision in an address: 38 of `r-38`. */
export function revisionAt(at: string): number | null {
  const number = Number(/^r-(\d+)$/.exec(at)?.[1]);
  return Number.isInteger(number) && number > 0 ? number : null;
}

/** Where the page opens: what is staged, else what is moved most. */
export function firstOf(view: LimitsView, staged: number): string {
  if (staged > 0) return 'staged';
  return view.groups.find((group) => group.id === 'concurrency')?.id ?? view.groups[0]?.id ?? 'all';
}
