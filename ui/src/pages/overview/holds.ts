// What holds a memory, and what is said below its bar. Pure: no stores here.

import type { Process } from '../../lib/bindings';
import { text } from '../../lib/format';
import { groupAll, holders, type Holder } from '../../lib/groups';

/** Groups that have a part of their own on the bar; the rest is added up. */
const NAMED = 6;

/** Parts of the VRAM that is used. */
export function vramParts(processes: readonly Process[], used: number | null): Holder[] {
  return holders(processes, used, NAMED);
}

/** Parts of the RAM that is used: groups by what they hold, then what no process owns. */
export function ramParts(processes: readonly Process[], used: number | null): Holder[] {
  const groups = groupAll(processes)
    .map((g): Holder => ({ name: g.name, bytes: g.rss_bytes, kind: 'group' }))
    .sort((a, b) => b.bytes - a.bytes);
  const small = groups.slice(NAMED).reduce((sum, g) => sum + g.bytes, 0);
  const rest = (used ?? 0) - groups.reduce((sum, g) => sum + g.bytes, 0);
  return [
    ...groups.slice(0, NAMED),
    ...(small > 0 ? [{ name: `${groups.length - NAMED} more`, bytes: small, kind: 'small' as const }] : []),
    ...(rest > 0 ? [{ name: 'kernel and other', bytes: rest, kind: 'rest' as const }] : []),
  ];
}

export interface Fact {
  name: string;
  value: string;
  more: string;
  over?: boolean;
}

/** How much room there is: to the load line and beyond it, or to the end where no line is drawn. */
export function roomFacts(used: number, whole: number, line: number | null, where: string): Fact[] {
  if (line === null) {
    return [{ name: 'Free', value: text(whole - used, 'bytes'), more: `of ${text(whole, 'bytes')}` }];
  }
  const rest = line - used;
  return [
    rest >= 0
      ? { name: 'Free to the line', value: text(rest, 'bytes'), more: `of ${text(line, 'bytes')}` }
      : {
          name: 'Above the line',
          value: text(-rest, 'bytes'),
          more: `of ${text(line, 'bytes')}`,
          over: true,
        },
    {
      name: 'Reserve above it',
      value: text(whole - line, 'bytes'),
      more: `for spikes, ${text(whole, 'bytes')} ${where}`,
    },
  ];
}
