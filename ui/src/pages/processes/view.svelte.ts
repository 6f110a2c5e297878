// What a person chose to see of the process table. Grouping, filter and order
// are kept between visits; a search and what stands open are not.

import { recall, remember } from '../../lib/state/remember';
import { COLUMNS } from './columns';
import type { GroupBy, Only, Order, SortKey } from './tree';

export const GROUPINGS: readonly [GroupBy, string][] = [
  ['service', 'Service'],
  ['user', 'User'],
  ['container', 'Container'],
  ['none', 'None'],
];
export const FILTERS: readonly [Only, string][] = [
  ['all', 'All'],
  ['gpu', 'On the GPU'],
  ['listening', 'Listening'],
  ['mine', 'Mine'],
];

interface Kept {
  by: GroupBy;
  only: Only;
  order: Order;
}

function isKept(value: unknown): value is Kept {
  const kept = value as Kept | null;
  return (
    GROUPINGS.some(([id]) => id === kept?.by) &&
    FILTERS.some(([id]) => id === kept?.only) &&
    COLUMNS.some(({ key }) => key === kept?.order?.key) &&
    typeof kept?.order.descending === 'boolean'
  );
}

export class View {
  by = $state<GroupBy>('service');
  only = $state<Only>('all');
  text = $state('');
  order = $state.raw<Order>({ key: 'cpu', descending: true });
  open = $state.raw<ReadonlyMap<string, boolean>>(new Map());
  unfolded = $state.raw<ReadonlySet<string>>(new Set());

  async load(): Promise<void> {
    const { by, only, order } = this;
    const kept = await recall<Kept>('processes.view', { by, only, order }, isKept);
    this.by = kept.by;
    this.only = kept.only;
    this.order = kept.order;
  }

  #keep() {
    const { by, only, order } = this;
    remember('processes.view', { by, only, order } satisfies Kept);
  }

  group(by: GroupBy): void {
    this.by = by;
    this.#keep();
  }

  filter(only: Only): void {
    this.only = only;
    this.#keep();
  }

  /** By a column; once more turns it round. Words begin with A, numbers with the largest. */
  sort(key: SortKey): void {
    const words = key === 'name' || key === 'user';
    this.order =
      this.order.key === key ? { key, descending: !this.order.descending } : { key, descending: !words };
    this.#keep();
  }

  setOpen(group: string, yes: boolean): void {
    this.open = new Map(this.open).set(group, yes);
  }

  unfold(group: string): void {
    this.unfolded = new Set(this.unfolded).add(group);
  }

  /** Everything again; what was kept stays kept. */
  showAll(): void {
    this.text = '';
    this.only = 'all';
  }
}
