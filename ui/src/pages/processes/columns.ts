// The columns of the process table: how they are headed, and how their values read.

import { percent } from '../../lib/format';
import type { SortKey } from './tree';

export interface Column {
  key: SortKey;
  label: string;
  /** Stands in the head, so that the cells need none. */
  unit: string;
  /** `r` aligns to the right, `wide` is left out where there is little room. */
  kind: string;
}

export const COLUMNS: readonly Column[] = [
  { key: 'name', label: 'Name', unit: '', kind: '' },
  { key: 'pid', label: 'pid', unit: '', kind: 'r' },
  { key: 'user', label: 'User', unit: '', kind: 'wide' },
  { key: 'cpu', label: 'CPU', unit: '%', kind: 'r' },
  { key: 'rss', label: 'RSS', unit: 'GiB', kind: 'r' },
  { key: 'vram', label: 'VRAM', unit: 'GiB', kind: 'r' },
  { key: 'threads', label: 'Threads', unit: '', kind: 'r wide' },
  { key: 'started', label: 'Started', unit: '', kind: 'r wide' },
];

/** One decimal as in the drawing, two where it would read 0.0. */
export function gib(value: number): string {
  const size = value / 2 ** 30;
  if (value === 0) return '0';
  if (size >= 99.95) return size.toFixed(0);
  return size >= 0.095 ? size.toFixed(1) : size >= 0.005 ? size.toFixed(2) : '< 0.01';
}

/** Whole percent, and less only below one. */
export function cpu(value: number): string {
  return value === 0 ? '0' : value >= 0.95 ? value.toFixed(0) : percent(value);
}
