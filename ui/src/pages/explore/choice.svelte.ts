// What a person chose to see in Explore, kept between visits.

import type { SeriesInfo, SeriesKey } from '../../lib/bindings';
import type { Mode } from '../../lib/chart/columns';
import { keyOf } from '../../lib/chart/feed.svelte';
import { COMPARISONS, type Comparison } from '../../lib/range';
import { recall, remember } from '../../lib/state/remember';
import { MAX_CHOSEN } from './lanes';

interface Kept {
  series: SeriesKey[];
  mode: Mode;
  marks: boolean;
  compare: Comparison;
}

export const MODES: readonly [Mode, string][] = [
  ['mean', 'Mean'],
  ['band', 'Mean and band'],
  ['max', 'Max'],
];

/** What a first visit shows: fullness and load, of what there is. */
const FIRST = ['gpu.vram.used', 'gpu.busy', 'memory.used', 'cpu.busy'];

function isKept(value: unknown): value is Kept {
  const kept = value as Kept | null;
  return (
    typeof kept === 'object' &&
    kept !== null &&
    Array.isArray(kept.series) &&
    kept.series.every((k) => typeof k?.metric === 'string' && typeof k.subject === 'string') &&
    MODES.some(([id]) => id === kept.mode) &&
    typeof kept.marks === 'boolean' &&
    kept.compare in COMPARISONS
  );
}

export class Choice {
  series = $state.raw<SeriesKey[]>([]);
  mode = $state<Mode>('band');
  marks = $state(true);
  compare = $state<Comparison>('off');
  /** True once what was kept is known: before that an empty choice means nothing. */
  ready = $state(false);
  /** True once somebody chose, or was given the first choice: an empty choice is then wanted. */
  #made = $state(false);

  async load(): Promise<void> {
    const kept = await recall<Kept | null>(
      'explore.choice',
      null,
      (v): v is Kept | null => v === null || isKept(v),
    );
    if (kept) {
      this.series = kept.series.slice(0, MAX_CHOSEN);
      this.mode = kept.mode;
      this.marks = kept.marks;
      this.compare = kept.compare;
    }
    this.ready = true;
  }

  keep(): void {
    const { series, mode, marks, compare } = this;
    remember('explore.choice', { series, mode, marks, compare } satisfies Kept);
  }

  /** On a first visit, as soon as it is known what there is; changes nothing afterwards. */
  begin(series: readonly SeriesInfo[]): void {
    if (!this.ready || this.#made || this.series.length > 0 || series.length === 0) return;
    this.#made = true;
    this.series = firstOf(series);
  }

  choose(keys: readonly SeriesKey[]): void {
    this.series = keys.slice(0, MAX_CHOSEN);
    this.#made = true;
    this.keep();
  }

  toggle({ key }: SeriesInfo): void {
    const id = keyOf(key);
    const others = this.series.filter((k) => keyOf(k) !== id);
    this.choose(others.length < this.series.length ? others : [...others, key]);
  }

  /** On top, if it is not there yet. */
  add(key: SeriesKey): void {
    if (!this.series.some((k) => keyOf(k) === keyOf(key))) this.choose([key, ...this.series]);
    this.#made = true;
  }

  remove(keys: readonly SeriesKey[]): void {
    const gone = new Set(keys.map(keyOf));
    this.choose(this.series.filter((k) => !gone.has(keyOf(k))));
  }
}

/** Fullness and load. */
export function firstOf(series: readonly SeriesInfo[]): SeriesKey[] {
  return FIRST.flatMap((metric) => series.filter((s) => s.key.metric === metric).slice(0, 1)).map(
    (s) => s.key,
  );
}
