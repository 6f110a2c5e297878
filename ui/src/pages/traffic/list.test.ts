import { beforeEach, expect, it, vi } from 'vitest';

import type { RequestRow, RequestsAsk, Traffic } from '../../lib/bindings';
import { CallError, useHost } from '../../lib/host';
import { fakeHost } from '../../lib/host/fake';
import { RequestList } from './list.svelte';
import { flying, idOf, row, trafficOf } from './testing';

let log: RequestRow[];
let asks: RequestsAsk[];
let list: RequestList;

/** The log as Plimsoll answers it. */
function answer(ask: RequestsAsk) {
  asks.push(ask);
  const fits = log
    .filter((r) => (ask.before === null || r.id < ask.before) && (ask.after === null || r.id > ask.after))
    .filter((r) => ask.finish.length === 0 || ask.finish.includes(r.finish))
    .filter((r) => ask.client === null || r.client === ask.client)
    .sort((a, b) => b.id - a.id);
  return { rows: fits.slice(0, ask.limit), more: fits.length > ask.limit };
}

beforeEach(() => {
  log = [];
  asks = [];
  useHost(fakeHost({ requests: answer }));
  list = new RequestList();
});

const at = (ended: number, more: Partial<Traffic> = {}) =>
  trafficOf({ ...more, totals: { ...trafficOf().totals, ended } });
const ids = () => list.items.map((r) => r.id);
async function take(view: Traffic) {
  list.take(view);
  await vi.waitFor(() => expect(list.loading).toBe(false));
  // What is asked for beside it.
  for (let i = 0; i < 8; i++) await Promise.resolve();
}

it('those under way stand among the log, the newest first', async () => {
  log = [row(100), row(300)];
  await take(at(2, { live: [flying(200), flying(400)] }));
  await vi.waitFor(() => expect(ids()).toEqual([idOf(400), idOf(300), idOf(200), idOf(100)]));
});

it('the log is asked again only when something ended', async () => {
  log = [row(100)];
  await take(at(1));
  await vi.waitFor(() => expect(list.loaded).toBe(true));
  const before = asks.length;
  await take(at(1));
  expect(asks.length).toBe(before);
  log.push(row(200));
  await take(at(2));
  await vi.waitFor(() => expect(ids()).toEqual([idOf(200), idOf(100)]));
});

it('one that ended stays as it was last seen until the log has it', async () => {
  log = [row(900)];
  await take(at(1, { live: [flying(100)] }));
  await vi.waitFor(() => expect(ids()).toEqual([idOf(900), idOf(100)]));
  await take(at(2));
  expect(ids()).toContain(idOf(100));
  expect(list.isGhost(idOf(100))).toBe(true);
  // It came long before the newest of the log, and is found all the same.
  log.push(row(100));
  await take(at(2));
  await vi.waitFor(() => expect(list.isGhost(idOf(100))).toBe(false));
  expect(list.get(idOf(100))).toMatchObject({ finish: 'answered' });
});

it('one that is never logged is let go', async () => {
  await take(at(0, { live: [flying(100)] }));
  await take(at(1, { at_ms: trafficOf().at_ms + 1000 }));
  expect(ids()).toEqual([idOf(100)]);
  await take(at(1, { at_ms: trafficOf().at_ms + 60_000 }));
  expect(ids()).toEqual([]);
});

it('held, nothing comes in at the head: it counts, and comes when it is let go', async () => {
  log = [row(100)];
  await take(at(1));
  await vi.waitFor(() => expect(ids()).toEqual([idOf(100)]));
  list.hold(true);
  log.push(row(200));
  await take(at(2, { live: [flying(300)] }));
  await vi.waitFor(() => expect(list.newer).toBe(2));
  expect(ids()).toEqual([idOf(100)]);
  list.hold(false);
  expect(ids()).toEqual([idOf(300), idOf(200), idOf(100)]);
  expect(list.newer).toBe(0);
});

it('held, a line goes on where it stands', async () => {
  await take(at(0, { live: [flying(100, { tokens_out: 1 })] }));
  list.hold(true);
  await take(at(0, { live: [flying(100, { tokens_out: 9 }), flying(200)] }));
  expect(list.items).toMatchObject([{ id: idOf(100), tokens_out: 9 }]);
});

it('older pages follow, also while it is held', async () => {
  log = Array.from({ length: 150 }, (_, i) => row(i * 10));
  await take(at(150));
  await vi.waitFor(() => expect(list.items).toHaveLength(100));
  expect(list.more).toBe(true);
  list.hold(true);
  list.older();
  await vi.waitFor(() => expect(list.items).toHaveLength(150));
  expect(asks.at(-1)?.before).toBe(idOf(500));
  expect(list.more).toBe(false);
  expect(list.newer).toBe(0);
});

// DE3: what the window keeps of the log is bounded
it('never keeps more than its bound, however far it is scrolled', async () => {
  log = Array.from({ length: 2600 }, (_, i) => row(i * 10));
  await take(at(2600));
  await vi.waitFor(() => expect(list.loaded).toBe(true));
  for (let i = 0; i < 40; i++) {
    list.older();
    await vi.waitFor(() => expect(list.loading).toBe(false));
  }
  expect(list.items).toHaveLength(2000);
  expect(ids()[0]).toBe(idOf(25_990));
});

it('more than a page came at once: it begins anew, and nothing is missing in between', async () => {
  log = [row(0)];
  await take(at(1));
  await vi.waitFor(() => expect(list.loaded).toBe(true));
  log = Array.from({ length: 500 }, (_, i) => row(100_000 + i * 10)).concat(log);
  await take(at(501));
  await vi.waitFor(() => expect(list.items).toHaveLength(200));
  expect(list.more).toBe(true);
  expect(ids()).not.toContain(idOf(0));
});

it('a kind is asked of the log, and what is under way is no error yet', async () => {
  log = [row(100), row(200, { finish: 'failed', status: 502 })];
  await take(at(2, { live: [flying(300)] }));
  list.choose({ only: 'errors' });
  await vi.waitFor(() => expect(list.loaded).toBe(true));
  expect(ids()).toEqual([idOf(200)]);
  expect(asks.at(-1)?.finish).toEqual(['failed', 'timed_out']);
  list.choose({ only: 'all', client: 'continue' });
  await vi.waitFor(() => expect(list.loaded).toBe(true));
  expect(ids()).toEqual([idOf(300)]);
});

it('a log that does not answer says so, and is asked again', async () => {
  let broken = true;
  useHost(
    fakeHost({
      requests: (ask) => {
        if (broken) throw new CallError({ code: 'unavailable', message: 'The log is busy.', hint: null });
        return answer(ask);
      },
    }),
  );
  list.take(at(1));
  await vi.waitFor(() => expect(list.fault?.message).toBe('The log is busy.'));
  broken = false;
  log = [row(1)];
  list.retry();
  await vi.waitFor(() => expect(ids()).toEqual([idOf(1)]));
  expect(list.fault).toBeNull();
});
