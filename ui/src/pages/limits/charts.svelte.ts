// What the charts of the listed limits are drawn from: their series, the marks on them, and for
// those of the disk what is stored. Made while its page is, and kept up while that stands.

import { untrack } from 'svelte';

import type { LimitInfo, Mark, Revision, StorageReport } from '../../lib/bindings';
import { Feed, Marks } from '../../lib/chart/feed.svelte';
import { call } from '../../lib/host';
import { catalog } from '../../lib/state/catalog.svelte';
import { live } from '../../lib/state/live.svelte';
import { range } from '../../lib/state/range.svelte';
import { revisionOf } from '../../lib/UndoChange.svelte';
import { drawnOf } from './chart';

/** What any limit may be drawn on. */
const METRICS = [
  'gateway.',
  'service.',
  'gpu.',
  'memory.',
  'cpu.',
  'self.',
  'pressure.',
  'kv.',
  'slots.',
  'requests.',
];
/** A distribution is not told tick by tick: it is asked for again. */
const SPREAD_EVERY_MS = 20_000;
/** What stands beside the chart in its panel. */
const BESIDE_PX = 480;

interface Shown {
  limits: readonly LimitInfo[];
  /** Newest first; `null` until they are known. */
  revisions: readonly Revision[] | null;
  /** Of the list, in pixels. */
  width: number;
}

export class Charts {
  readonly feed = new Feed();
  readonly #marks = new Marks();
  readonly #shown: () => Shown;
  /** `null`: not known, or nobody needs it. */
  storage = $state.raw<StorageReport | null>(null);

  /** One question for all charts of the list: several limits move the same series. */
  #keys = $derived.by(() => {
    const of = new Map(
      this.#shown().limits.flatMap((limit) =>
        drawnOf(limit, catalog.series).flatMap((d) =>
          d.info ? [[`${d.key.metric} ${d.key.subject}`, d.key] as const] : [],
        ),
      ),
    );
    return [...of.values()];
  });
  #spread = $derived(
    this.#keys.some(({ metric }) =>
      catalog.series.some((s) => s.key.metric === metric && s.kind === 'histogram'),
    ),
  );
  #disk = $derived.by(() => this.#shown().limits.some((limit) => limit.chart === null));
  marks = $derived(this.#marks.list.filter((m) => m.at_ms >= range.view.from && m.at_ms <= range.view.to));
  /** Revisions by what they changed, so that a chart carries the mark of its own limit. */
  #changedBy = $derived.by(
    () =>
      new Map((this.#shown().revisions ?? []).map((r) => [r.number, new Set(r.changed.map((c) => c.key))])),
  );

  constructor(shown: () => Shown) {
    this.#shown = shown;
    $effect(() => this.feed.know(catalog.series));
    $effect(() => {
      const { width } = this.#shown();
      void [range.view, range.choice];
      const wanted = this.#keys;
      untrack(() => this.feed.show(wanted, Math.max(0, width - BESIDE_PX)));
    });
    $effect(() => this.#marks.show(range.view, range.live));
    $effect(() => {
      if (!this.#spread) return;
      const timer = setInterval(() => live.visible && range.live && this.feed.retry(), SPREAD_EVERY_MS);
      return () => clearInterval(timer);
    });
    $effect(() => {
      if (!this.#disk) return;
      // Without it the bars say that nothing is known, and all else goes on.
      call('storage', {}).then(
        (report) => (this.storage = report),
        () => (this.storage = null),
      );
    });
  }

  start(): () => void {
    const stops = [catalog.use(), this.#marks.start(), this.feed.start(METRICS)];
    return () => stops.forEach((stop) => stop());
  }

  /** The marks of the revisions that moved this very limit. */
  told(key: string): Mark[] {
    return this.marks.filter((mark) => {
      const revision = revisionOf(mark);
      return revision !== null && (this.#changedBy.get(revision)?.has(key) ?? false);
    });
  }
}
