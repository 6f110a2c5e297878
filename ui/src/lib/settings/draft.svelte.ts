// What is about to change and is not in force yet: a text edited by hand, and values
// staged in the form, which Apply writes into that text. It outlives the page, so that
// a look at another page loses nothing; it never writes over a file that changed since
// it began.

import type {
  Change,
  ConfigEdit,
  Fault,
  Preview,
  Problem,
  Revision,
  SettingSpec,
  SettingValue,
} from '../bindings';
import { asker, call, toFault } from '../host';
import { live } from '../state/live.svelte';
import { session } from '../state/session.svelte';
import { toasts } from '../state/toasts.svelte';
import { plural, text } from '../format';
import { takesText } from '../keys';
import { stage, type Item, type Staged, itemsOf, ruleOf, write } from './values';

/** After the last key that is pressed, before the text is checked. */
const CHECK_AFTER_MS = 200;
const UNDO_SECONDS = 10;
/** A press of Apply that was meant for what stood there before. */
const LOOK_MS = 1000;

class Draft {
  specs = $state.raw<SettingSpec[]>([]);
  staged = $state.raw<Staged>(new Map());
  /** The text of the file as it is being edited; `null` while nobody edits it. */
  text = $state.raw<string | null>(null);
  /** Digest of the text that the draft started from. */
  base = $state.raw<string | null>(null);
  preview = $state.raw<Preview | null>(null);
  /** Why the preview or the last apply failed. */
  fault = $state.raw<Fault | null>(null);
  busy = $state(false);
  /** The draft changed, and what it does is not known yet. */
  checking = $state(false);
  /** Revision to take back, while it is offered. */
  undoOf = $state<number | null>(null);

  config = $derived(session.config);
  items = $derived(itemsOf(this.specs, session.config?.settings ?? []));
  byKey = $derived(new Map(this.items.map((item) => [item.key, item])));
  /** Nothing staged and nothing edited. */
  clean = $derived(this.staged.size === 0 && this.text === null);
  /** The file is another one than when the draft began. */
  conflict = $derived(
    !this.clean && this.base !== null && this.config !== null && this.base !== this.config.digest,
  );
  /** What is wrong with the draft; without one, with the file itself. */
  problems = $derived<Problem[]>(this.clean ? (this.config?.problems ?? []) : (this.preview?.problems ?? []));
  /** What taking a revision back does besides: `restarts chat (about 9 s)`. The button says it. */
  besides: (changed: Revision['changed']) => string = () => '';
  /** How all that is staged is put in force. */
  put: (edit: ConfigEdit) => Promise<Revision> = (edit) => call('config.apply', edit);
  /** It became another one elsewhere, this moment: nobody has seen it yet. */
  fresh = $state(false);
  /** How often all was thrown away or applied: what a page kept in sight of it may go. */
  cleared = $state(0);
  count = $derived(this.staged.size + (this.text === null ? 0 : 1));
  /**
   * The text for an editor, and whether what is staged stands in it. It does not while
   * that is worked out, and where the file is no TOML that a value could be written into.
   */
  shown = $derived.by<{ text: string; holds: boolean }>(() => {
    const bare = this.text ?? this.config?.text ?? '';
    if (this.staged.size === 0) return { text: bare, holds: true };
    const made = this.checking ? null : this.preview;
    const holds = made !== null && (made.problems.length === 0 || made.text !== bare);
    return holds ? { text: made.text, holds } : { text: bare, holds };
  });
  ready = $derived(
    !this.clean &&
      !this.conflict &&
      !this.busy &&
      !this.checking &&
      !this.fresh &&
      this.preview !== null &&
      this.problems.length === 0,
  );

  #onMade = new Set<(made: Revision) => void>();
  #asked = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** The fault is why Apply was refused: a look at what it would do does not take it away. */
  #refused = false;
  #looks: ReturnType<typeof setTimeout> | undefined;
  #dropUndo: (() => void) | null = null;

  /** Loads the schema and follows changes of the file; answers how to stop. */
  start(): () => void {
    if (this.specs.length === 0) void this.#schema();
    return live.on((event) => {
      // A staged value may be in force by now, or the file another one: look again.
      if (event.event === 'config' && !this.clean) this.#check(0);
    });
  }

  async #schema() {
    try {
      this.specs = await call('config.schema', {});
      this.fault = null;
    } catch (thrown) {
      this.fault = toFault(thrown);
    }
  }

  /** Hears of every revision that this window makes; answers how to stop. */
  onMade(hear: (made: Revision) => void): () => void {
    this.#onMade.add(hear);
    return () => this.#onMade.delete(hear);
  }

  /**
   * This window made a revision. Where it changed nothing, the answer is the one that was in force
   * `before`: that was somebody else's, and nothing follows from it.
   */
  made(revision: Revision, before: number | null): boolean {
    if (before !== null && revision.number <= before) return false;
    for (const hear of [...this.#onMade]) hear(revision);
    return true;
  }

  /**
   * What is staged became this elsewhere, or was so before the window was opened; begun from the
   * file of this digest where that is known.
   */
  adopt(staged: Staged, base: string | null, fresh: boolean): void {
    this.staged = staged;
    if (base !== null) this.base = base;
    if (fresh) {
      this.fresh = true;
      clearTimeout(this.#looks);
      this.#looks = setTimeout(() => (this.fresh = false), LOOK_MS);
    }
    // Why Apply was refused stays in sight: this may be what it was refused for.
    if (this.clean) this.#changed(0);
    else this.#check(0);
  }

  /** A value in words, with its unit: a threshold in that of what its rule watches. */
  say(key: string, value: SettingValue): string {
    const rule = ruleOf(key);
    if (rule && typeof value === 'number' && (rule.field === 'threshold' || rule.field === 'clear')) {
      const unit = session.rules.find((r) => r.id === rule.id)?.unit ?? null;
      return unit === null ? write(value) : text(value, unit);
    }
    const unit = this.byKey.get(key)?.spec.unit;
    return `${write(value)}${unit ? ` ${unit}` : ''}`;
  }

  reload(): void {
    void this.#schema();
    void session.reload();
  }

  /** Stages a value; `null` goes back to the default. */
  set(item: Item, value: SettingValue | null): void {
    this.#replace(stage(this.staged, item, value));
  }

  unset(key: string): void {
    const next = new Map(this.staged);
    next.delete(key);
    this.#replace(next);
  }

  /** Several at once, also for keys that are not settings yet: a rule of one's own. */
  setAll(changes: readonly (readonly [string, SettingValue | null])[]): void {
    this.#replace(new Map([...this.staged, ...changes]));
  }

  unsetAll(keys: readonly string[]): void {
    const next = new Map(this.staged);
    for (const key of keys) next.delete(key);
    this.#replace(next);
  }

  /** All at once, in place of what was staged before. */
  replace(staged: Staged): void {
    this.#replace(staged);
  }

  /** The text as it was edited. What was staged is part of it, or waits until it can be. */
  edit(text: string): void {
    if (this.clean) this.base = this.config?.digest ?? null;
    if (this.shown.holds) this.staged = new Map();
    this.text = text === this.config?.text ? null : text;
    this.#changed(CHECK_AFTER_MS);
  }

  clear(): void {
    this.staged = new Map();
    this.text = null;
    this.cleared += 1;
    this.#changed(0);
  }

  /** Throws it all away, and offers to bring it back. */
  discard(): void {
    const { staged, text, base } = this;
    if (this.clean) return;
    this.clear();
    const drop = toasts.show(
      text === null ? `Discarded ${plural(staged.size, 'change')}` : 'Discarded the edited file',
      {
        seconds: UNDO_SECONDS,
        action: {
          label: 'Undo',
          run: () => {
            drop();
            // What was begun meanwhile counts for more.
            this.staged = new Map([...staged, ...this.staged]);
            this.text ??= text;
            this.base ??= base;
            this.#changed(0);
          },
        },
      },
    );
  }

  /** After a look at what changed in the file: the draft stands on the file as it is now. */
  rebase(): void {
    this.base = this.config?.digest ?? null;
    this.#refused = false;
    this.#check(0);
  }

  #replace(next: Staged) {
    if (this.clean) this.base = this.config?.digest ?? null;
    this.staged = next;
    this.#changed(60);
  }

  #changed(wait: number) {
    this.fault = null;
    this.#refused = false;
    if (this.clean) {
      this.base = null;
      this.preview = null;
      this.checking = false;
      this.#asked += 1;
      clearTimeout(this.#timer);
    } else this.#check(wait);
  }

  #check(wait: number) {
    clearTimeout(this.#timer);
    const run = ++this.#asked;
    this.checking = true;
    this.#timer = setTimeout(() => void this.#ask(run), wait);
  }

  async #ask(run: number) {
    try {
      const preview = await call('config.preview', this.#request(null));
      if (run !== this.#asked) return;
      this.preview = preview;
      this.checking = false;
      if (!this.#refused) this.fault = null;
    } catch (thrown) {
      if (run !== this.#asked) return;
      this.preview = null;
      this.checking = false;
      this.fault = toFault(thrown);
      this.#refused = false;
    }
  }

  #request(base: string | null): ConfigEdit {
    const changes: Change[] = [...this.staged].map(([key, value]) => ({ key, value }));
    return { base, changes, text: this.text, by: asker() };
  }

  async apply(): Promise<boolean> {
    if (!this.ready) return false;
    const before = this.config?.revision ?? null;
    this.busy = true;
    try {
      const revision = await this.put(this.#request(this.base));
      this.clear();
      const made = this.made(revision, before);
      await session.reload();
      this.#offerUndo(`Applied as revision ${revision.number}`, revision, made);
      return true;
    } catch (thrown) {
      this.fault = toFault(thrown);
      this.#refused = true;
      // The file may be another one by now: show it, and what it does to the draft.
      if (this.fault.code === 'conflict') await session.reload();
      return false;
    } finally {
      this.busy = false;
    }
  }

  /** One change at once, without staging: from the command palette. */
  async applyNow(changes: Change[], said: string): Promise<void> {
    const before = this.config?.revision ?? null;
    try {
      const base = this.config?.digest ?? null;
      const revision = await call('config.apply', { base, changes, text: null, by: asker() });
      const made = this.made(revision, before);
      await session.reload();
      this.#offerUndo(said, revision, made);
    } catch (thrown) {
      this.fault = toFault(thrown);
      toasts.show(`Not changed: ${this.fault.message}`);
    }
  }

  async rollback(revision: number): Promise<boolean> {
    const before = this.config?.revision ?? null;
    this.busy = true;
    try {
      const back = await call('config.rollback', { revision, by: asker() });
      const made = this.made(back, before);
      await session.reload();
      this.fault = null;
      if (!this.clean) this.rebase();
      this.#offerUndo(`Went back to revision ${revision}, as revision ${back.number}`, back, made);
      return true;
    } catch (thrown) {
      this.fault = toFault(thrown);
      return false;
    } finally {
      this.busy = false;
    }
  }

  /** Takes back what the last revision changed, and nothing that somebody changed since. */
  async undo(): Promise<void> {
    const revision = this.undoOf;
    if (revision === null) return;
    this.undoOf = null;
    this.#dropUndo?.();
    const before = this.config?.revision ?? null;
    try {
      const made = await call('config.undo', { revision, by: asker() });
      this.made(made, before);
      await session.reload();
      toasts.show(`Undone, as revision ${made.number}`);
    } catch (thrown) {
      this.fault = toFault(thrown);
      toasts.show(`Not undone: ${this.fault.message}`);
    }
  }

  #offerUndo(text: string, { number, changed }: Revision, made: boolean) {
    this.#dropUndo?.();
    if (!made) {
      toasts.show('Nothing to change: it is so already');
      return;
    }
    this.undoOf = number;
    const besides = this.besides(changed);
    const drop = toasts.show(text, {
      seconds: UNDO_SECONDS,
      action: {
        label: besides === '' ? 'Undo' : `Undo, ${besides}`,
        keys: 'Ctrl Z',
        run: () => void this.undo(),
        // Two of them would leave open which it takes back.
        over: () => forget(),
      },
    });
    // On every page: the palette applies as well.
    const keys = (event: KeyboardEvent) => {
      const pressed = (event.ctrlKey || event.metaKey) && !event.shiftKey && event.key.toLowerCase() === 'z';
      if (!pressed || event.defaultPrevented || takesText(document.activeElement)) return;
      event.preventDefault();
      void this.undo();
    };
    addEventListener('keydown', keys);
    const over = setTimeout(() => {
      forget();
      drop();
    }, UNDO_SECONDS * 1000);
    const forget = () => {
      clearTimeout(over);
      removeEventListener('keydown', keys);
      this.undoOf = null;
      this.#dropUndo = null;
    };
    this.#dropUndo = () => {
      forget();
      drop();
    };
  }
}

export const draft = new Draft();
