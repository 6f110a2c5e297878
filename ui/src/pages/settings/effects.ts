// What applying does beyond the values themselves: what is deleted, what needs a restart.

import type { StorageKind, StorageReport } from '../../lib/bindings';
import { bytes } from '../../lib/format';
import type { Item, Staged } from '../../lib/settings/values';
import { after } from '../../lib/settings/values';

export interface Effect {
  kind: 'deletes' | 'restart' | 'live';
  bold: string;
  rest: string;
}

const MIB = 2 ** 20;

/** Bytes that a shorter span frees: as Plimsoll worked out, or by the share of the time for another span. */
export function frees(
  kind: StorageKind,
  keep: number,
  now: number,
): { bytes: number; exact: boolean } | null {
  if (keep >= kind.keep) return null;
  if (kind.less === keep && kind.less_frees_bytes !== null)
    return { bytes: kind.less_frees_bytes, exact: true };
  if (kind.oldest_ms === null) return { bytes: 0, exact: true };
  const unit = kind.keep_unit.startsWith('h') ? 3_600_000 : 86_400_000;
  const held = now - kind.oldest_ms;
  const over = held - keep * unit;
  if (over <= 0) return { bytes: 0, exact: true };
  return { bytes: kind.bytes * (over / held), exact: false };
}

/** Size after Apply, once what is too old is gone. */
export function projected(
  report: StorageReport,
  items: ReadonlyMap<string, Item>,
  staged: Staged,
  now: number,
): number {
  let total = report.total_bytes;
  for (const kind of report.kinds) {
    const item = items.get(kind.setting);
    if (!item || !staged.has(kind.setting)) continue;
    const keep = after(item, staged);
    if (typeof keep === 'number') total -= frees(kind, keep, now)?.bytes ?? 0;
  }
  const limit = items.get('history.max_mib');
  const most = limit ? after(limit, staged) : null;
  return Math.max(0, typeof most === 'number' ? Math.min(total, most * MIB) : total);
}

export function effectsOf(
  items: ReadonlyMap<string, Item>,
  staged: Staged,
  report: StorageReport | null,
  restart: readonly string[],
  now: number,
  /** Launch settings: they take hold with a start of their service. */
  launch: readonly string[] = [],
): Effect[] {
  const out: Effect[] = [];
  for (const kind of report?.kinds ?? []) {
    const item = items.get(kind.setting);
    if (!item || !staged.has(kind.setting)) continue;
    const keep = after(item, staged);
    if (typeof keep !== 'number') continue;
    const freed = frees(kind, keep, now);
    if (!freed || freed.bytes === 0) continue;
    const size = bytes(freed.bytes);
    out.push({
      kind: 'deletes',
      bold: `${kind.label} older than ${keep} ${kind.keep_unit.charAt(0)} is deleted.`,
      rest: `Frees ${freed.exact ? '' : 'about '}${size.value} ${size.unit}. Undo brings back the setting, not the data.`,
    });
  }
  const limit = items.get('history.max_mib');
  if (report && limit && staged.has('history.max_mib')) {
    const most = after(limit, staged);
    if (typeof most === 'number' && most * MIB < report.total_bytes) {
      const over = bytes(report.total_bytes - most * MIB);
      out.push({
        kind: 'deletes',
        bold: `The finest and oldest ${over.value} ${over.unit} are deleted.`,
        rest: 'Every second older than a day goes first. Undo does not bring data back.',
      });
    }
  }
  for (const key of restart) {
    out.push({
      kind: 'restart',
      bold: `${key} takes effect at the next start.`,
      rest: 'Plimsoll goes on as it is until then.',
    });
  }
  const live = [...staged.keys()].filter((key) => !restart.includes(key) && !launch.includes(key)).length;
  if (live > 0) {
    out.push({
      kind: 'live',
      bold: live === 1 ? 'One change is live at once.' : `${live} changes are live at once.`,
      rest: 'The charts carry a mark.',
    });
  }
  return out;
}
