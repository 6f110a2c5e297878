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

/** A row of a list of marks: one mark, or several that tell of the same. */
export interface Told {
  /** The newest of them. */
  mark: Mark;
  title: string;
  /** When the first of them was. */
  from: number;
}

/** So far apart two marks of the same do not belong together. */
const SAME_MS = 3_600_000;
/** From so many on they are told as one. */
const MANY = 4;

/**
 * The list, newest first, with what repeats told once: a service that falls and is started
 * again and again, or the same sentence over and over.
 */
export function merged(marks: readonly Mark[]): Told[] {
  const sorted = [...marks].sort((a, b) => b.at_ms - a.at_ms);
  const groups: Mark[][] = [];
  const open = new Map<string, Mark[]>();
  for (const mark of sorted) {
    const ofService = mark.kind === 'restart' || mark.kind === 'service';
    const key = ofService && mark.subject !== null ? `service ${mark.subject}` : `${mark.kind} ${mark.title}`;
    const group = open.get(key);
    const last = group?.at(-1);
    if (group && last && last.at_ms - mark.at_ms <= SAME_MS) group.push(mark);
    else {
      const fresh = [mark];
      groups.push(fresh);
      open.set(key, fresh);
    }
  }
  const told = groups.flatMap((group): Told[] => {
    const [newest] = group;
    if (group.length < MANY || !newest) {
      return group.map((mark) => ({ mark, title: mark.title, from: mark.at_ms }));
    }
    const restarts = group.filter((m) => m.kind === 'restart');
    const repeats = restarts.length >= 2 ? restarts : group;
    const mark = repeats[0] ?? newest;
    const same = repeats.every((m) => m.title === mark.title);
    const title = same
      ? `${mark.title}, ${repeats.length} times`
      : `${mark.title}, the last of ${repeats.length}`;
    return [{ mark: newest, title, from: group.at(-1)?.at_ms ?? newest.at_ms }];
  });
  return told.sort((a, b) => b.mark.at_ms - a.mark.at_ms);
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
