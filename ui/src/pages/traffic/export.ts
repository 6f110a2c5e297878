// The list of requests as a table and as JSON: all that the log keeps of what is chosen, newest first.

import type { RequestPage, RequestRow, RequestsAsk } from '../../lib/bindings';
import { cell, stampOf } from '../../lib/csv';
import type { SavedFile } from '../../lib/host';
import type { Which } from './list.svelte';
import { askOf } from './words';

/** More rows make no table that a person reads; `plimsoll requests` has no such bound. */
export const MOST_SAVED = 10_000;
const PAGE = 500;

const COLUMNS: readonly (keyof RequestRow)[] = [
  'id',
  'client',
  'endpoint',
  'model',
  'sent_model',
  'route',
  'backend',
  'priority',
  'stream',
  'finish',
  'status',
  'reason',
  'wait_us',
  'overhead_us',
  'ttft_us',
  'itl_p50_us',
  'itl_p95_us',
  'total_us',
  'tokens_in',
  'tokens_out',
  'retries',
  'shared',
  'joules',
];

/** All of the log that fits, at most {@link MOST_SAVED}. */
export async function rowsOf(
  which: Which,
  ask: (of: RequestsAsk) => Promise<RequestPage>,
): Promise<{ rows: RequestRow[]; cut: boolean }> {
  const rows: RequestRow[] = [];
  for (;;) {
    const page = await ask({
      before: rows.at(-1)?.id ?? null,
      after: null,
      limit: PAGE,
      client: which.client,
      model: null,
      backend: which.backend,
      ...askOf(which.only),
    });
    rows.push(...page.rows);
    if (!page.more || page.rows.length === 0) return { rows, cut: false };
    if (rows.length >= MOST_SAVED) return { rows: rows.slice(0, MOST_SAVED), cut: true };
  }
}

/** One row a request; the time is UTC, and what is not known is an empty cell. */
export function toCsv(rows: readonly RequestRow[]): string {
  const lines = [['time', ...COLUMNS].join(',')];
  for (const row of rows) {
    const cells = COLUMNS.map((key) => {
      const value = row[key];
      return value === null ? '' : typeof value === 'string' ? cell(value) : String(value);
    });
    lines.push([new Date(row.at_ms).toISOString(), ...cells].join(','));
  }
  return lines.join('\r\n') + '\r\n';
}

export function fileOf(
  kind: 'csv' | 'json',
  rows: readonly RequestRow[],
  at_ms: number,
  simulated: boolean,
): SavedFile {
  const name = `plimsoll-requests-${simulated ? 'simulated-' : ''}${stampOf(at_ms)}.${kind}`;
  const text = kind === 'csv' ? toCsv(rows) : JSON.stringify({ simulated, requests: rows }, null, 1) + '\n';
  const mime = kind === 'csv' ? 'text/csv' : 'application/json';
  return { name, mime, data: new Blob([text], { type: mime }) };
}
