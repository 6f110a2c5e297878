// What is typed into the form of a service, and what becomes of it: tried, added, or written into
// the settings.

import type { Fault, Service } from '../../lib/bindings';
import { asker, call, toFault } from '../../lib/host';
import { session } from '../../lib/state/session.svelte';
import { toasts } from '../../lib/state/toasts.svelte';
import { acts } from '../../lib/services/acts.svelte';
import {
  BLANK,
  changesOf,
  fieldOf,
  lockedOf,
  problemsOf,
  typedOf,
  wholeUrl,
  type Field,
  type Typed,
} from './form';
import { Trial } from './TestLine.svelte';

/** Fields by the hints that say what is wrong with them. */
const FILES: Record<string, Field> = { 'key-file': 'key_file', 'ca-file': 'ca_file' };

/** What was typed and not added: closing the form by accident loses nothing. */
let kept: Typed = { ...BLANK };

export class Entry {
  /** `null`: a new one. */
  readonly id: string | null;
  /** Found here, and not in the settings: with what is typed it comes into them, under its id. */
  readonly moves: boolean;
  /** Variables that hold fields. */
  readonly locked: Partial<Record<Field, string>>;
  readonly trial = new Trial();
  typed = $state<Typed>({ ...BLANK });
  busy = $state(false);
  fault = $state.raw<Fault | null>(null);
  /** Fields that were left, or sent: before that nobody is told what is wrong with them. */
  #seen = $state<Partial<Record<Field, boolean>>>({});
  #before: Typed;
  /** Files of the service that cannot be used, as it stands. */
  #unusable: Partial<Record<Field, string>>;

  problems = $derived(problemsOf(this.typed));
  /** What the other side refuses stands at its field, too. */
  refused = $derived(this.fault ? fieldOf(this.fault) : null);
  /** A file that could not be used when the server was tried. */
  untried = $derived.by(() => {
    const field = this.trial.fault ? fieldOf(this.trial.fault) : null;
    return field === 'key_file' || field === 'ca_file' ? field : null;
  });

  constructor(service?: Service) {
    this.id = service?.id ?? null;
    this.moves = service?.origin === 'accepted';
    this.#unusable = Object.fromEntries(
      (service?.hints ?? []).flatMap(({ id, text }) => (FILES[id] ? [[FILES[id], text]] : [])),
    );
    const settings = session.config?.settings ?? [];
    this.locked = service ? lockedOf(service.id, settings) : {};
    this.#before = !service
      ? { ...kept }
      : this.moves
        ? {
            ...BLANK,
            url: service.url,
            name: service.name === service.id ? '' : service.name,
            kind: service.kind ?? 'auto',
          }
        : typedOf(service.id, settings);
    this.typed = { ...this.#before };
  }

  /** Nothing would be written. */
  get idle(): boolean {
    return this.id !== null && changesOf(this.id, this.#before, this.typed).length === 0;
  }

  wrong(field: Field): string | undefined {
    const own = this.#seen[field] ? this.problems[field] : undefined;
    if (own !== undefined) return own;
    if (this.refused === field) return this.fault?.message;
    if (this.untried === field) return this.trial.fault?.message;
    // What stands in the settings may have gone bad since.
    return this.typed[field] === this.#before[field] ? this.#unusable[field] : undefined;
  }

  changed(): void {
    this.fault = null;
    this.trial.clear();
    if (this.id === null) kept = { ...this.typed };
  }

  left(field: Field): void {
    if (field === 'url') this.typed.url = wholeUrl(this.typed.url);
    if (this.typed[field] !== BLANK[field]) this.#seen = { ...this.#seen, [field]: true };
  }

  /** The first field that is wrong, now told; `null` where none is. */
  check(): Field | null {
    this.typed.url = wholeUrl(this.typed.url);
    this.#seen = { url: true, name: true, key_file: true, ca_file: true, scrape_ms: true };
    return (Object.keys(this.problems)[0] as Field | undefined) ?? null;
  }

  test(): void {
    const { url, kind, key_file, ca_file } = this.typed;
    void this.trial.ask({ target: url, kind, key_file: key_file.trim(), ca_file: ca_file.trim() });
  }

  /** Its id once it is written; `null` where it was refused. */
  async write(): Promise<string | null> {
    if (this.busy) return null;
    this.busy = true;
    this.fault = null;
    try {
      return this.id === null || this.moves ? await this.#add() : await this.#save(this.id);
    } catch (thrown) {
      this.fault = toFault(thrown);
      // The file is another one by now; what was typed stays.
      if (this.fault.code === 'conflict' && this.id !== null) await session.reload();
      return null;
    } finally {
      this.busy = false;
    }
  }

  async #add(): Promise<string> {
    const { url, name, kind, key_file, ca_file } = this.typed;
    const made = await call('services.add', {
      id: this.id,
      url,
      name: name.trim(),
      kind: kind === 'auto' ? '' : kind,
      key_file: key_file.trim(),
      ca_file: ca_file.trim(),
      by: asker(),
    });
    if (this.id === null) kept = { ...BLANK };
    acts.added({ id: made.id, name: name.trim() || made.id }, made.revision);
    return made.id;
  }

  async #save(id: string): Promise<string> {
    const changes = changesOf(id, this.#before, this.typed);
    if (changes.length === 0) return id;
    const base = session.config?.digest ?? null;
    const made = await call('config.apply', { base, changes, text: null, by: asker() });
    await session.reload();
    const drop = toasts.show(`${this.typed.name.trim() || id} is changed, revision ${made.number}`, {
      seconds: 10,
      action: { label: 'Undo', run: () => void (drop(), acts.undo(id, made.number)) },
    });
    return id;
  }
}
