// How well a thing fits what was typed: every word must be found, in order of
// letters; whole words and beginnings weigh more than letters here and there.

/** Larger is better; `null`: it does not fit. */
export function score(query: string, text: string): number | null {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return 0;
  const hay = text.toLowerCase();
  let sum = 0;
  for (const word of words) {
    const one = scoreWord(word, hay);
    if (one === null) return null;
    sum += one;
  }
  // Of two that fit alike the shorter is meant.
  return sum - hay.length / 200;
}

const boundary = (text: string, at: number) => at === 0 || /[^a-z0-9]/.test(text[at - 1] ?? '');

function scoreWord(word: string, hay: string): number | null {
  let at = hay.indexOf(word);
  if (at >= 0) {
    // The best of its places: a word's beginning, at best the very first.
    for (let next = at; next >= 0; next = hay.indexOf(word, next + 1)) {
      if (boundary(hay, next)) {
        at = next;
        break;
      }
    }
    return 10 * word.length + (boundary(hay, at) ? 8 : 0) + (at === 0 ? 4 : 0);
  }
  // Letters in order: "mtu" finds "mount used". Short words would fit everything.
  if (word.length < 2) return null;
  let from = 0;
  let sum = 0;
  let gaps = 0;
  for (const letter of word) {
    const found = hay.indexOf(letter, from);
    if (found < 0) return null;
    if (boundary(hay, found)) sum += 3;
    else if (found === from) sum += 2;
    gaps += found - from;
    from = found + 1;
  }
  // Letters strewn over a whole sentence are chance, not meaning.
  return sum >= word.length * 2 ? sum - gaps / 4 : null;
}

export interface Ranked<T> {
  item: T;
  score: number;
}

/** The best of them, best first, at most `most`; equal ones keep their order. */
export function rank<T extends { label: string; words?: string; weight?: number }>(
  items: readonly T[],
  query: string,
  most: number,
): T[] {
  const found: (Ranked<T> & { at: number })[] = [];
  items.forEach((item, at) => {
    const inLabel = score(query, item.label);
    const anywhere = inLabel === null && item.words ? score(query, `${item.label} ${item.words}`) : null;
    if (inLabel === null && anywhere === null) return;
    const value = (inLabel ?? (anywhere ?? 0) - 6) + (item.weight ?? 0);
    found.push({ item, score: value, at });
  });
  return found
    .sort((a, b) => b.score - a.score || a.at - b.at)
    .slice(0, most)
    .map(({ item }) => item);
}
