// The newest lines of a service, and how many of them are newer than those that are shown. Pure.

import type { OutputLine } from '../../lib/bindings';

const same = (a: OutputLine, b: OutputLine | undefined) =>
  b !== undefined && a.at_ms === b.at_ms && a.text === b.text;

/** Lines of `next` behind the last one of `shown`; all of them where that has gone. */
export function freshOf(shown: readonly OutputLine[], next: readonly OutputLine[]): number {
  const last = shown.at(-1);
  for (let at = next.length - 1; at >= 0; at--) if (same(next[at]!, last)) return next.length - 1 - at;
  return next.length;
}

/** As it is copied: before each line its time, where it is known. */
export function plainText(lines: readonly OutputLine[], time: (ms: number) => string): string {
  return lines.map(({ at_ms, text }) => (at_ms === null ? text : `${time(at_ms)} ${text}`)).join('\n');
}
