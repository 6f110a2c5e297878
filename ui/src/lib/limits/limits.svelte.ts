// The limits as they stand, and what a person is about to change of them. What is staged is
// the window's one draft (lib/settings), which Plimsoll keeps for the limits among it: it
// outlives the window and the program, and is the same in every window.

import type {
  Change,
  ConfigEdit,
  Fault,
  LimitEffect,
  LimitInfo,
  LimitPreset,
  LimitsDraft,
  LimitsView,
  MetricSpec,
  Revision,
  SettingValue,
} from '../bindings';
import { call, toFault } from '../host';
import { draft } from '../settings/draft.svelte';
import { same, stage, write, type Item, type Staged } from '../settings/values';
import { live } from '../state/live.svelte';
import { session } from '../state/session.svelte';
import { toasts } from '../state/toasts.svelte';
import { changedBy, changesTo, merged, type Elsewhere } from './merge';
import { restartedBy, Restarts } from './restarts';
import { restartWords } from './words';

/** After the last change, before it is kept, and before its effect is asked for. */
const KEEP_AFTER_MS = 100;
const EFFECT_AFTER_MS = 150;
/** What is in force where a word stands changes with the services: looked at while the page is open. */
const LOOK_EVERY_MS = 15_000;

class Limits {
  view = $state.raw<LimitsView | null>(null);
  /** Why they could not be read. */
  fault = $state.raw<Fault | null>(null);
  /** The limit that is being moved, before it is let go. */
  held = $state.raw<{ key: string; value: SettingValue } | null>(null);
  effects = $state.raw<ReadonlyMap<string, LimitEffect>>(new Map());
  /** The values that these effects are of. */
  asked = $state.raw<ReadonlyMap<string, SettingValue>>(new Map());
  /** Of all that admission keeps, where that is more than one. */
  together = $state.raw<LimitEffect | null>(null);
  effectFault = $state.raw<Fault | null>(null);
  /** What was kept could not be: it stands here all the same. */
  keepFault = $state.raw<Fault | null>(null);

  /** What is measured, also where nothing of it is recorded yet. */
  metrics = $state.raw<ReadonlyMap<string, MetricSpec>>(new Map());

  byKey = $derived(new Map((this.view?.limits ?? []).map((limit) => [limit.key, limit])));
  staged = $derived((this.view?.limits ?? []).filter((limit) => draft.staged.has(limit.key)));
  /** Staged limits of what is not there now: nothing can be applied with them. */
  absent = $derived(
    this.view ? [...draft.staged.keys()].filter((key) => this.#known.has(key) && !this.byKey.has(key)) : [],
  );
  restarts = $derived(restartedBy(this.staged));
  /** What is proposed is another than what the effects were asked for. */
  pending = $derived(
    (this.view?.limits ?? []).some((limit) => this.isMoved(limit) && !this.isAsked(limit)) ||
      [...this.asked.keys()].some((key) => {
        const limit = this.byKey.get(key);
        return limit !== undefined && !this.isMoved(limit);
      }),
  );
  /** What is staged of the limits, and what somebody else changed of it since. */
  kept = $state.raw<LimitsDraft | null>(null);

  #restarts = new Restarts();
  #run = 0;
  /** Readings of the view: the newest that was asked for, and the newest that stands here. */
  #loads = 0;
  #taken = 0;
  /** All that was ever a limit here: a service that is not found now takes nothing of its draft away. */
  #known = new Set<string>();
  /** What is staged of the limits as Plimsoll said it last, and the number of that draft. */
  #base: Staged = new Map();
  #serial = -1;
  /** What is being said of it: one after the other. */
  #said = Promise.resolve();

  /** What holds after Apply; what is being moved goes first. */
  proposed(limit: LimitInfo): SettingValue {
    if (this.held?.key === limit.key) return this.held.value;
    if (!draft.staged.has(limit.key)) return limit.value;
    return draft.staged.get(limit.key) ?? limit.default;
  }

  /** Is about to become another. */
  isMoved(limit: LimitInfo): boolean {
    return !same(this.proposed(limit), limit.value);
  }

  /** The effect that stands here is of the value that is proposed. */
  isAsked(limit: LimitInfo): boolean {
    const asked = this.asked.get(limit.key);
    return asked !== undefined && same(asked, this.proposed(limit));
  }

  /** For a button: which services are started anew when these settings change. */
  restartsBy(changed: readonly { key: string }[]): string {
    return restartWords(restartedBy(this.#limitsOf(changed)));
  }

  #limitsOf(changed: readonly { key: string }[]): LimitInfo[] {
    return changed.flatMap(({ key }) => this.byKey.get(key) ?? []);
  }

  /** Stages a value; that of today takes the stage away. */
  set(limit: LimitInfo, value: SettingValue | null): void {
    this.held = null;
    if (limit.lock === null) draft.set(itemOf(limit), value);
  }

  /** Moves it without staging it yet: while a hand is on it. */
  hold(limit: LimitInfo, value: SettingValue): void {
    if (limit.lock === null) this.held = { key: limit.key, value };
  }

  letGo(): void {
    const limit = this.held && this.byKey.get(this.held.key);
    if (limit && this.held) this.set(limit, this.held.value);
    this.held = null;
  }

  /** Stages all that a preset changes, in place of what was staged of the limits that it knows. */
  choose(preset: LimitPreset): void {
    let next: Staged = draft.staged;
    for (const limit of this.view?.limits ?? []) {
      const value = limit[preset.id];
      if (value !== null && limit.lock === null) next = stage(next, itemOf(limit), value);
    }
    draft.replace(next);
  }

  /** Loads them, brings back what was staged, and keeps it from then on; answers how to stop. */
  start(): () => void {
    void this.load();
    draft.besides = (changed) => this.restartsBy(changed);
    const { put } = draft;
    draft.put = (edit) => this.#put(edit);
    const stops = [
      () => (draft.put = put),
      live.on((event) => {
        if (event.event === 'config' || event.event === 'missed') void this.load();
        else if (event.event === 'staged' && event.serial > this.#serial) void this.load();
        else if (event.event === 'job' && this.#restarts.ends(event.job)) void this.load();
      }),
      draft.onMade(({ changed }) => void this.#restarts.begin(this.#limitsOf(changed))),
      $effect.root(() => {
        $effect(() => this.#keep());
      }),
    ];
    return () => stops.forEach((stop) => stop());
  }

  /** While the page is open: what is in force is looked at, and what a change does is asked for. */
  use(): () => void {
    if (this.fault || this.view === null) void this.load();
    if (this.metrics.size === 0) void this.#measured();
    const timer = setInterval(() => live.visible && void this.load(), LOOK_EVERY_MS);
    const stop = $effect.root(() => {
      $effect(() => this.#effect());
    });
    return () => {
      clearInterval(timer);
      stop();
    };
  }

  /** As if it had never been asked for. */
  forget(): void {
    this.view = null;
    this.kept = null;
    this.fault = null;
    this.#base = new Map();
    this.#serial = -1;
    this.#known = new Set();
    // An answer that is on its way is of what was forgotten.
    this.#taken = ++this.#loads;
  }

  async #measured(): Promise<void> {
    try {
      this.metrics = new Map((await call('metrics', {})).map((metric) => [metric.name, metric]));
    } catch {
      // Names and units come with the series as well.
    }
  }

  async load(): Promise<void> {
    const run = ++this.#loads;
    try {
      const view = await call('limits', {});
      // A newer one overtook it.
      if (run < this.#taken) return;
      this.#taken = run;
      for (const { key } of [...view.limits, ...view.draft.changes]) this.#known.add(key);
      this.view = view;
      this.fault = null;
      this.#take(view.draft, view);
      this.#drop(view);
    } catch (thrown) {
      if (run >= this.#taken) this.fault = toFault(thrown);
    }
  }

  /** What is in force by now, whoever saw to it, is staged no more. */
  #drop(view: LimitsView) {
    const done = view.limits.filter((limit) => {
      const to = draft.staged.get(limit.key);
      if (to === undefined) return false;
      // A line that says the default may be meant to go: only where there is none it is done.
      if (to === null) return same(limit.value, limit.default) && limit.origin.from !== 'file';
      return same(to, limit.value);
    });
    if (done.length > 0) draft.unsetAll(done.map((limit) => limit.key));
  }

  /** What is staged of the limits here. */
  #mine(): Staged {
    return new Map([...draft.staged].filter(([key]) => this.#known.has(key)));
  }

  /** What is staged by now, by whatever window, put together with what was staged here since. */
  #take(kept: LimitsDraft, { digest }: LimitsView) {
    // A newer one overtook it.
    if (kept.serial < this.#serial) return;
    this.kept = kept;
    if (kept.serial === this.#serial) return;
    const first = this.#serial === -1;
    const there: Staged = new Map(kept.changes.map(({ key, to }) => [key, to]));
    const { staged, elsewhere } = merged(this.#base, draft.staged, there);
    this.#base = there;
    this.#serial = kept.serial;
    if (elsewhere.length === 0) return;
    // Where the file is another one by now, the draft began from one that is gone.
    const base = kept.file_changed ? `not ${digest}` : draft.clean ? digest : null;
    draft.adopt(staged, base, !first);
    if (!first) this.#tell(elsewhere);
  }

  /** Nothing that somebody else did to the draft comes or goes without a word. */
  #tell(elsewhere: readonly Elsewhere[]) {
    const words = elsewhere.flatMap(({ key, was, there, mine }) => {
      const limit = this.byKey.get(key);
      const title = limit?.title ?? key;
      if (there === undefined) {
        // What was applied stands on the charts.
        const applied = limit !== undefined && was !== undefined && same(was ?? limit.default, limit.value);
        return applied ? [] : [mine ? `${title} no more; here it stays` : `${title} no more`];
      }
      const value = write(there ?? limit?.default ?? '');
      return [mine ? `${title} ${value}; here it stays another` : `${title} ${value}`];
    });
    const [one, two] = words;
    if (one === undefined) return;
    const more = words.length > 2 ? ` and ${words.length - 2} more` : '';
    toasts.show(`Staged elsewhere: ${one}${two === undefined ? '' : `, ${two}`}${more}`);
  }

  /** A person has looked at the file as it is now, and keeps what was staged. */
  #looked(): boolean {
    const { view, kept } = this;
    const current = session.config?.digest === view?.digest && draft.base === view?.digest;
    return current && (kept?.file_changed ?? false) && draft.staged.size > 0;
  }

  #keep() {
    if (this.view === null || this.#serial === -1) return;
    const { set, clear } = changesTo(this.#base, this.#mine());
    if (set.length + clear.length === 0 && !this.#looked()) return;
    const timer = setTimeout(() => void this.#say(), KEEP_AFTER_MS);
    return () => clearTimeout(timer);
  }

  /** Says what was staged here and is not said yet. */
  #say(): Promise<void> {
    this.#said = this.#said.then(async () => {
      const { view } = this;
      if (view === null || this.#serial === -1) return;
      const changes = changesTo(this.#base, this.#mine());
      const rebase = this.#looked();
      if (changes.set.length + changes.clear.length === 0 && !rebase) return;
      try {
        const kept = await call('limits.stage', { ...changes, rebase });
        this.keepFault = null;
        // What is in it besides came from elsewhere.
        this.#base = changedBy(this.#base, changes);
        this.#take(kept, this.view ?? view);
      } catch (thrown) {
        this.keepFault = toFault(thrown);
      }
    });
    return this.#said;
  }

  /** Puts in force what stood here when it was asked for: where another draft is staged by now, nothing is. */
  async #put(edit: ConfigEdit): Promise<Revision> {
    await this.#say();
    // What could not be kept stands in no draft.
    const shared = this.keepFault === null && this.#serial !== -1;
    const staged = edit.changes.map(({ key }) => key).filter((key) => this.#known.has(key));
    try {
      return await call('config.apply', shared ? { ...edit, staged } : edit);
    } catch (thrown) {
      void this.load();
      throw thrown;
    }
  }

  #effect() {
    const changes: Change[] = (this.view?.limits ?? [])
      .filter((limit) => this.isMoved(limit))
      .map((limit) => ({ key: limit.key, value: this.proposed(limit) }));
    const run = ++this.#run;
    if (changes.length === 0) {
      this.effects = new Map();
      this.asked = new Map();
      this.together = null;
      this.effectFault = null;
      return;
    }
    const timer = setTimeout(() => void this.#ask(changes, run), EFFECT_AFTER_MS);
    return () => clearTimeout(timer);
  }

  async #ask(changes: Change[], run: number) {
    try {
      const { effects, together } = await call('limits.effect', { changes });
      if (run !== this.#run) return;
      this.effects = new Map(effects.flatMap((e, i) => (changes[i] ? [[changes[i].key, e]] : [])));
      this.asked = new Map(changes.map(({ key, value }) => [key, value ?? '']));
      this.together = together;
      this.effectFault = null;
    } catch (thrown) {
      if (run === this.#run) this.effectFault = toFault(thrown);
    }
  }
}

/** As the draft knows settings; a service that was found has none of its own in the file yet. */
export function itemOf(limit: LimitInfo): Item {
  const { key, title, meaning, accepts, unit, origin, value } = limit;
  return {
    key,
    spec: {
      key,
      section: limit.group,
      label: title,
      meaning,
      accepts,
      unit,
      default: limit.default,
      conservative: limit.conservative,
      aggressive: limit.aggressive,
      live: limit.takes_hold.when === 'live',
    },
    state: { key, spec: key, value, default: limit.default, origin },
  };
}

export const limits = new Limits();
