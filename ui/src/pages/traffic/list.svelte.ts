// The list of requests: those under way, and behind them the log, newest first. While a person
// points at it nothing comes in at its head; older pages come as it is scrolled.

import type { Fault, LiveRequest, RequestRow, RequestsAsk, Traffic } from '../../lib/bindings';
import { call, toFault } from '../../lib/host';
import { askOf, SLOW_MS, type Only } from './words';

export type Item = LiveRequest | RequestRow;
export const isLive = (item: Item): item is LiveRequest => 'phase' in item;

/** Rows kept in memory; older ones are read again from the log (DE3). */
export const MOST_ROWS = 2000;
const PAGE = 100;
/** One that vanished may not be in the log yet; it is looked for so long. */
const GHOST_MS = 15_000;
/** Ids grow with the moment a request came: its milliseconds, times 4096. */
const PER_MS = 4096;
/** A request that ends may have come before one that ended already. */
const OVERLAP_MS = 5000;

export interface Which {
  only: Only;
  client: string | null;
  backend: string | null;
}

export const EVERYTHING: Which = { only: 'all', client: null, backend: null };

export class RequestList {
  which = $state.raw<Which>(EVERYTHING);
  filtered = $derived(this.which.only !== 'all' || this.which.client !== null || this.which.backend !== null);
  /** What is shown, newest first. */
  items = $state.raw<Item[]>([]);
  /** So many came while it stood still. */
  newer = $state(0);
  /** The log has older ones. */
  more = $state(false);
  loading = $state(false);
  /** The first page has been answered. */
  loaded = $state(false);
  fault = $state.raw<Fault | null>(null);
  held = $state(false);

  #rows = new Map<number, RequestRow>();
  #live = new Map<number, LiveRequest>();
  #ghosts = new Map<number, number>();
  #ids: number[] = [];
  #ended = -1;
  #run = 0;
  #asking = false;
  #now = 0;

  /** Another choice: the log is asked anew. */
  choose(which: Partial<Which>): void {
    this.which = { ...this.which, ...which };
    this.#run += 1;
    this.#rows.clear();
    this.#ids = [];
    this.#asking = false;
    this.loaded = false;
    this.more = false;
    this.#show(true);
    void this.#ask({}, 'first');
  }

  /** What passes now; the log is asked only where something ended. */
  take(traffic: Traffic): void {
    this.#now = traffic.at_ms;
    const live = new Map(traffic.live.map((r) => [r.id, r]));
    for (const [id, request] of this.#live) {
      if (live.has(id) || this.#rows.has(id)) continue;
      if (!this.#ghosts.has(id)) this.#ghosts.set(id, traffic.at_ms);
      // It stays as it was last seen, until the log has it.
      if (traffic.at_ms - (this.#ghosts.get(id) ?? 0) < GHOST_MS) live.set(id, request);
      else this.#ghosts.delete(id);
    }
    this.#live = live;
    const grown = traffic.totals.ended !== this.#ended;
    this.#ended = traffic.totals.ended;
    this.#show();
    if (!this.loaded) void this.#ask({}, 'first');
    else if (grown || this.#ghosts.size > 0) this.#catchUp();
  }

  /** Older ones, where there are any. */
  older(): void {
    const oldest = Math.min(...this.#rows.keys());
    if (!this.more || this.#rows.size >= MOST_ROWS || !Number.isFinite(oldest)) return;
    void this.#ask({ before: oldest }, 'older');
  }

  retry(): void {
    this.fault = null;
    void this.#ask({}, this.loaded ? 'newer' : 'first');
  }

  /** Stands still, or goes on with what came meanwhile. */
  hold(yes: boolean): void {
    if (this.held === yes) return;
    this.held = yes;
    if (!yes) this.#show(true);
  }

  /** Brings what came, though it is held. */
  bring(): void {
    this.#show(true);
  }

  get(id: number): Item | null {
    return this.#rows.get(id) ?? this.#live.get(id) ?? null;
  }

  /** It vanished, and the log does not have it yet. */
  isGhost(id: number): boolean {
    return this.#ghosts.has(id);
  }

  #catchUp() {
    const newest = Math.max(0, ...this.#rows.keys());
    const ghosts = [...this.#ghosts.keys()].map((id) => id - 1);
    const after = Math.min(newest - OVERLAP_MS * PER_MS, ...ghosts);
    void this.#ask(after > 0 ? { after } : {}, 'newer');
  }

  async #ask(part: Pick<RequestsAsk, 'before' | 'after'> | object, what: 'first' | 'newer' | 'older') {
    if (this.#asking) return;
    this.#asking = true;
    this.loading = what !== 'newer';
    const run = this.#run;
    const { only, client, backend } = this.which;
    try {
      const ask: RequestsAsk = {
        before: null,
        after: null,
        limit: what === 'newer' ? 2 * PAGE : PAGE,
        client,
        model: null,
        backend,
        ...askOf(only),
        ...part,
      };
      const page = await call('requests', ask);
      if (run !== this.#run) return;
      this.#keep(page.rows, page.more, what);
      this.fault = null;
      this.loaded = true;
      this.#show();
    } catch (thrown) {
      if (run === this.#run) this.fault = toFault(thrown);
    } finally {
      if (run === this.#run) {
        this.#asking = false;
        this.loading = false;
      }
    }
  }

  #keep(rows: RequestRow[], more: boolean, what: 'first' | 'newer' | 'older') {
    const newest = Math.max(0, ...this.#rows.keys());
    const oldest = rows.at(-1)?.id ?? 0;
    // More came than one page holds: what lies between is not known, so it begins anew.
    if (what === 'newer' && more && oldest > newest) {
      this.#rows.clear();
      this.more = true;
    }
    for (const row of rows) {
      this.#rows.set(row.id, row);
      this.#ghosts.delete(row.id);
      this.#live.delete(row.id);
    }
    if (what !== 'newer') this.more = more;
    if (this.#rows.size > MOST_ROWS) {
      const ids = [...this.#rows.keys()].sort((a, b) => b - a);
      for (const id of ids.slice(MOST_ROWS)) this.#rows.delete(id);
      this.more = true;
    }
  }

  #fits = (r: LiveRequest): boolean => {
    const { only, client, backend } = this.which;
    if (client !== null && r.client !== client) return false;
    if (backend !== null && r.backend !== backend) return false;
    if (only === 'slow') return this.#now - r.at_ms >= SLOW_MS;
    return only === 'all';
  };

  #show(fresh = false) {
    const live = [...this.#live.values()].filter((r) => !this.#rows.has(r.id) && this.#fits(r));
    const all = [...live.map((r) => r.id), ...this.#rows.keys()].sort((a, b) => b - a);
    if (this.held && !fresh && this.#ids.length > 0) {
      const shown = new Set(this.#ids);
      const head = this.#ids[0] ?? 0;
      const last = this.#ids.at(-1) ?? 0;
      const here = new Set(all);
      // What stands there keeps its place; what is older may follow.
      this.#ids = [...this.#ids.filter((id) => here.has(id)), ...all.filter((id) => id < last)];
      this.newer = all.filter((id) => id > head || (id > last && !shown.has(id))).length;
    } else {
      this.#ids = all;
      this.newer = 0;
    }
    this.items = this.#ids.flatMap((id) => this.get(id) ?? []);
  }
}
