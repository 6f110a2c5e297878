import { expect, it } from 'vitest';

import type { RequestsAsk } from '../../lib/bindings';
import { fileOf, MOST_SAVED, rowsOf, toCsv } from './export';
import { row } from './testing';

it('is a row for each request, with UTC times, and empty cells for what is not known', () => {
  const [head, first, last] = toCsv([
    row(0, { ttft_us: null, joules: null, reason: 'said "no", twice', client: '=HYPERLINK(1)' }),
  ]).split('\r\n');
  const cells = Object.fromEntries(
    (head ?? '').split(',').map((name, i) => [name, (first ?? '').split(/,(?=(?:[^"]*"[^"]*")*[^"]*$)/)[i]]),
  );
  expect(cells).toMatchObject({
    time: '2026-11-18T11:06:40.000Z',
    // A table's program must not take it for a formula.
    client: "'=HYPERLINK(1)",
    total_us: '1300000',
    ttft_us: '',
    joules: '',
    reason: '"said ""no"", twice"',
  });
  expect(last).toBe('');
});

it('asks for what is chosen, page by page, and ends at its bound', async () => {
  const asks: RequestsAsk[] = [];
  const which = { only: 'refused', client: 'cli', backend: null } as const;
  const all = await rowsOf(which, async (ask) => {
    asks.push(ask);
    const from = 1_000_000 - 500 * asks.length;
    return { rows: Array.from({ length: 500 }, (_, i) => row(from - i)), more: true };
  });
  expect([all.rows.length, all.cut, asks.length]).toEqual([MOST_SAVED, true, MOST_SAVED / 500]);
  expect(asks[0]).toMatchObject({ before: null, client: 'cli', finish: ['refused'], limit: 500 });
  expect(asks[1]?.before).toBe(all.rows[499]?.id);

  const few = await rowsOf(which, async () => ({ rows: [row(1)], more: false }));
  expect([few.rows.length, few.cut]).toEqual([1, false]);
});

it('says of simulated requests that they are', async () => {
  const at = new Date(2026, 10, 21, 12, 50).getTime();
  expect(fileOf('csv', [], at, false).name).toBe('plimsoll-requests-20261121-1250.csv');
  const file = fileOf('json', [row(0)], at, true);
  expect(file.name).toBe('plimsoll-requests-simulated-20261121-1250.json');
  const told: unknown = JSON.parse(await file.data.text());
  expect(told).toMatchObject({ simulated: true, requests: [{ client: 'open-webui' }] });
});
