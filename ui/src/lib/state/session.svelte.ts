// What the whole window knows about the Plimsoll on the other side. Kept fresh
// by live events; a status is asked for every few seconds while somebody looks.

import type {
  About,
  Alert,
  AlertRule,
  ConfigView,
  Fault,
  SettingValue,
  SourceStatus,
  Status,
} from '../bindings';
import { call, toFault, type AnswerOf, type CommandName } from '../host';
import { live } from './live.svelte';

const STATUS_EVERY_MS = 5000;

class Session {
  about = $state.raw<About | null>(null);
  status = $state.raw<Status | null>(null);
  sources = $state.raw<SourceStatus[]>([]);
  rules = $state.raw<AlertRule[]>([]);
  alerts = $state.raw<Alert[]>([]);
  config = $state.raw<ConfigView | null>(null);
  #faults = $state.raw<Partial<Record<CommandName, Fault>>>({});
  /** Why Plimsoll could not be reached; `null` while it says how it is. */
  fault = $derived<Fault | null>(this.#faults.status ?? this.#faults.about ?? null);

  simulated = $derived(this.about?.simulated ?? false);
  /** Alerts that hold now, newest first. */
  active = $derived(
    this.alerts.filter((a) => a.row.end_ms === null).sort((a, b) => b.row.start_ms - a.row.start_ms),
  );
  #settings = $derived(new Map(this.config?.settings.map((s) => [s.key, s.value]) ?? []));

  /** Loads everything once and follows the stream; answers how to stop. */
  start(): () => void {
    void this.reload();
    let ticked = false;
    const off = live.on((event) => {
      switch (event.event) {
        case 'tick':
          // The lines of rules stand where their subjects were measured: a card, a mount.
          if (!ticked) void this.#alerts();
          ticked = true;
          break;
        case 'sources':
          this.sources = event.sources;
          void this.#about();
          void this.#alerts();
          break;
        case 'alerts':
          void this.#alerts();
          break;
        case 'config':
          void this.#config();
          void this.#alerts();
          break;
        case 'missed':
          void this.reload();
          break;
      }
    });
    const timer = setInterval(() => live.visible && void this.#status(true), STATUS_EVERY_MS);
    return () => {
      off();
      clearInterval(timer);
    };
  }

  /** Asks for everything again. */
  async reload(): Promise<void> {
    await Promise.all([this.#about(), this.#status(), this.#alerts(), this.#config()]);
  }

  /** The value of a setting in force, e.g. `window.theme`. */
  setting<T extends SettingValue>(key: string, otherwise: T): T {
    const value = this.#settings.get(key);
    return typeof value === typeof otherwise ? (value as T) : otherwise;
  }

  /** State of a source by name, e.g. `gpu`. */
  source(name: string): SourceStatus | undefined {
    return this.sources.find((s) => s.name === name);
  }

  async #about() {
    await this.#ask('about', (about) => (this.about = about));
  }

  async #status(withTick = false) {
    await this.#ask('status', (status) => {
      const keep = () => {
        this.status = status;
        this.sources = status.sources;
      };
      if (withTick) live.withTick(keep);
      else keep();
    });
  }

  async #alerts() {
    await Promise.all([
      this.#ask('alerts', (alerts) => (this.alerts = alerts)),
      this.#ask('alerts.rules', (rules) => (this.rules = rules)),
    ]);
  }

  async #config() {
    await this.#ask('config', (config) => (this.config = config));
  }

  async #ask<K extends 'about' | 'status' | 'alerts' | 'alerts.rules' | 'config'>(
    command: K,
    keep: (value: AnswerOf<K>) => void,
  ) {
    try {
      keep(await call(command, {}));
      if (this.#faults[command]) this.#faults = { ...this.#faults, [command]: undefined };
    } catch (thrown) {
      this.#faults = { ...this.#faults, [command]: toFault(thrown) };
    }
  }
}

export const session = new Session();
