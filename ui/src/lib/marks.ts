// Marks: what happened, standing on every chart's time axis.

import type { Mark, MarkKind } from './bindings';

export const MARK_NAMES: Record<MarkKind, string> = {
  change: 'change',
  alert: 'alert',
  restart: 'restart',
  load_test: 'load test',
  clock: 'clock or sleep',
  history: 'history',
  service: 'service',
};

export const MARK_COLORS: Record<MarkKind, string> = {
  change: 'var(--accent)',
  alert: 'var(--warn)',
  restart: 'var(--text-2)',
  load_test: 'var(--info)',
  clock: 'var(--text-2)',
  history: 'var(--info)',
  service: 'var(--text-2)',
};

export interface Cluster {
  /** Place of the first mark, in pixels. */
  x: number;
  marks: Mark[];
}

/**
 * The list with a mark that was just made. A mark that comes with its end takes the
 * place of the one that came with its start: same kind, start and reference.
 */
export function withMark(list: readonly Mark[], mark: Mark): Mark[] {
  const same = (m: Mark) =>
    (m.id !== 0 && m.id === mark.id) ||
    (mark.reference !== null &&
      m.kind === mark.kind &&
      m.at_ms === mark.at_ms &&
      m.reference === mark.reference);
  return [...list.filter((m) => !same(m)), mark];
}

/** Marks closer than `apart` pixels become one, in order of time. */
export function cluster(marks: readonly Mark[], xOf: (ms: number) => number, apart = 12): Cluster[] {
  const out: Cluster[] = [];
  for (const mark of [...marks].sort((a, b) => a.at_ms - b.at_ms)) {
    const x = xOf(mark.at_ms);
    const last = out.at(-1);
    // A group carries its count beside it and needs the room of two.
    if (last && x - last.x < (last.marks.length > 1 ? 2 * apart : apart)) last.marks.push(mark);
    else out.push({ x, marks: [mark] });
  }
  return out;
}
