// What runs, in the order that matters, as far as it fits. Pure: no stores here.

import type { Process, Service } from '../../lib/bindings';
import { groupAll, type Group } from '../../lib/groups';
import { kindOf, lookOf, STATE_WORDS, whyOf, type Look } from '../../lib/services/words';

export interface Note {
  text: string;
  tone: 'warn' | 'danger' | 'quiet';
}

const TONES: Partial<Record<Look, Note['tone']>> = { degraded: 'warn', down: 'danger' };

/** Why it is not well, in words; `null` while it is. */
export function noteOf(service: Pick<Service, 'state' | 'reason' | 'run'>, now: number): Note | null {
  const look = lookOf(service);
  if (look === 'healthy') return null;
  const why = whyOf(service, now);
  // That it is down its reason says; that it starts, waits or was stopped has to be said.
  const said = look === 'degraded' || look === 'down';
  const text = why === '' ? STATE_WORDS[look] : said ? why : `${STATE_WORDS[look]}: ${why}`;
  return { text, tone: TONES[look] ?? 'quiet' };
}

/** Kind and version: `llama.cpp b9931`. */
export function engineOf(service: Pick<Service, 'kind' | 'version'>): string {
  return service.version === null ? kindOf(service) : `${kindOf(service)} ${service.version}`;
}

// === order

const RANKS: Record<Look, number> = {
  down: 0,
  degraded: 1,
  starting: 2,
  waiting: 2,
  healthy: 3,
  unknown: 4,
  stopped: 4,
};

const rank = (service: Service) => RANKS[lookOf(service)];

/** Requests it works on, and those that wait in it. */
export function demandOf({ slots, figures }: Service): number {
  return (slots?.busy ?? figures.running ?? 0) + (slots?.waiting ?? figures.waiting ?? 0);
}

/** What is not well first, then what works most, then what takes most. */
export function byUrgency(a: Service, b: Service): number {
  return (
    rank(a) - rank(b) ||
    demandOf(b) - demandOf(a) ||
    (b.holder?.vram_bytes ?? 0) - (a.holder?.vram_bytes ?? 0) ||
    (b.holder?.cpu_percent ?? 0) - (a.holder?.cpu_percent ?? 0) ||
    a.name.localeCompare(b.name)
  );
}

/** Between two orderings while nobody falls ill or gets well. */
const ORDERED_FOR_MS = 60_000;

/** Keeps its order for a while: rows that change places with every request cannot be read. */
export class Order {
  #ids: string[] = [];
  #signature = '';
  #at = 0;

  of(services: readonly Service[], now: number): Service[] {
    const signature = services
      .map((s) => `${s.id} ${rank(s)}`)
      .sort()
      .join();
    if (signature !== this.#signature || now - this.#at >= ORDERED_FOR_MS || now < this.#at) {
      this.#ids = [...services].sort(byUrgency).map((s) => s.id);
      this.#signature = signature;
      this.#at = now;
    }
    const place = new Map(this.#ids.map((id, at) => [id, at]));
    return [...services].sort((a, b) => (place.get(a.id) ?? 0) - (place.get(b.id) ?? 0));
  }
}

// === what fits

export interface Fit {
  /** So many services stand there, */
  services: number;
  /** so many are only counted, in a row of their own, */
  more: number;
  /** and so many programs under a row that heads them. */
  programs: number;
}

/** What is shown in so many rows. */
export function fit(services: number, programs: number, rows: number): Fit {
  if (services > rows)
    return { services: Math.max(0, rows - 1), more: services - Math.max(0, rows - 1), programs: 0 };
  const left = rows - services - 1;
  return { services, more: 0, programs: Math.max(0, Math.min(programs, left)) };
}

/** Programs that belong to no service, by their largest share of anything. */
export function programsOf(
  processes: readonly Process[],
  owner: ReadonlyMap<number, string>,
  whole: { vram: number | null; ram: number | null; cores: number | null },
): Group[] {
  const weight = (g: Group) =>
    Math.max(
      whole.vram ? (g.vram_bytes ?? 0) / whole.vram : 0,
      whole.ram ? g.rss_bytes / whole.ram : 0,
      whole.cores ? (g.cpu_percent ?? 0) / (100 * whole.cores) : 0,
    );
  return groupAll(processes.filter((p) => !owner.has(p.pid)))
    .filter((g) => weight(g) >= 0.001)
    .sort((a, b) => weight(b) - weight(a));
}
