// The newest lines of a service, and how many of them are newer than those that are shown. Pure.

import type { OutputLine } from '../../lib/bindings';

/** Lines of `next` behind the last one of `shown`; their numbers go on, also where that has gone. */
export function freshOf(shown: readonly OutputLine[], next: readonly OutputLine[]): number {
  const last = shown.at(-1)?.number ?? -Infinity;
  // Counted anew: the output was begun again.
  const restarted = (next.at(-1)?.number ?? Infinity) < last;
  return restarted ? next.length : next.filter((line) => line.number > last).length;
}

/** As it is copied: before each line its time, where it is known. */
export function plainText(lines: readonly OutputLine[], time: (ms: number) => string): string {
  return lines.map(({ at_ms, text }) => (at_ms === null ? text : `${time(at_ms)} ${text}`)).join('\n');
}
