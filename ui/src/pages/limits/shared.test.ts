// The one draft of the limits, staged in two windows at once.

import { afterEach, beforeEach, expect, it } from 'vitest';
import { waitFor } from '@testing-library/svelte';

import type { ConfigEdit, LimitsDraft } from '../../lib/bindings';
import { CallError, useHost } from '../../lib/host';
import { fakeHost, type FakeHost } from '../../lib/host/fake';
import { limits } from '../../lib/limits/limits.svelte';
import { draft } from '../../lib/settings/draft.svelte';
import { live } from '../../lib/state/live.svelte';
import { session } from '../../lib/state/session.svelte';
import { toasts } from '../../lib/state/toasts.svelte';
import { settingsAnswers } from '../settings/fake';
import { furnishLimits } from './fake';

const QUEUE = 'gateway.queue.max';
const WAIT = 'gateway.queue.wait_s';
let fake: FakeHost;
let stops: (() => void)[] = [];

beforeEach(async () => {
  fake = furnishLimits(fakeHost(settingsAnswers(Date.now(), '')), '');
  useHost(fake);
  draft.specs = [];
  limits.forget();
  stops = [live.start(), session.start(), limits.start()];
  await waitFor(() => expect(limits.view).not.toBeNull());
  await waitFor(() => expect(session.config).not.toBeNull());
});
afterEach(() => {
  stops.forEach((stop) => stop());
  draft.clear();
  draft.fresh = false;
  toasts.list = [];
});

const here = (key: string, value: number | null) => limits.set(limits.byKey.get(key)!, value);

/** Another window stages something, and every window is told. */
async function elsewhere(set: Record<string, number>, clear: string[] = []): Promise<LimitsDraft> {
  const made = await fake.handlers['limits.stage']!({
    set: Object.entries(set).map(([key, value]) => ({ key, value })),
    clear,
    rebase: false,
  });
  fake.emit({ event: 'staged', serial: made.serial });
  return made;
}
const kept = async () => (await fake.handlers.limits!({})).draft.changes.map(({ key, to }) => [key, to]);

it('what another window stages comes here with a word, and is looked at before Apply', async () => {
  here(QUEUE, 32);
  await waitFor(async () => expect(await kept()).toEqual([[QUEUE, 32]]));
  await waitFor(() => expect(draft.ready).toBe(true));
  await elsewhere({ [WAIT]: 20 });
  await waitFor(() => expect(draft.staged.get(WAIT)).toBe(20));
  expect(draft.ready).toBe(false);
  expect(draft.staged.get(QUEUE)).toBe(32);
  const title = limits.byKey.get(WAIT)!.title;
  expect(toasts.list.at(-1)?.text).toBe(`Staged elsewhere: ${title} 20`);
  await elsewhere({}, [WAIT]);
  await waitFor(() => expect(draft.staged.has(WAIT)).toBe(false));
  expect(toasts.list.at(-1)?.text).toBe(`Staged elsewhere: ${title} no more`);
  expect(await kept()).toEqual([[QUEUE, 32]]);
});

it('two that stage in the same moment both keep what they staged', async () => {
  await elsewhere({ [WAIT]: 20 });
  here(QUEUE, 32);
  await waitFor(async () =>
    expect(await kept()).toEqual([
      [WAIT, 20],
      [QUEUE, 32],
    ]),
  );
  expect(draft.staged.get(WAIT)).toBe(20);
  // Of one key the later word holds, and whose it was not is told.
  here(QUEUE, 48);
  await elsewhere({ [QUEUE]: 64 });
  await waitFor(async () => expect(await kept()).toContainEqual([QUEUE, 48]));
  expect(toasts.list.at(-1)?.text).toContain('64; here it stays another');
  // Nothing goes back and forth.
  const said = fake.calls.filter((c) => c.command === 'limits.stage').length;
  const { serial } = await elsewhere({ [QUEUE]: 48 });
  await waitFor(() => expect(limits.kept?.serial).toBe(serial));
  expect(fake.calls.filter((c) => c.command === 'limits.stage').length).toBe(said);
});

it('Apply says what was looked at, and a refusal brings what is staged now', async () => {
  here(QUEUE, 32);
  await waitFor(() => expect(draft.ready).toBe(true));
  const edits: ConfigEdit[] = [];
  fake.handlers['config.apply'] = (edit) => {
    edits.push(edit);
    throw new CallError({ code: 'conflict', message: 'What is staged was changed elsewhere.', hint: null });
  };
  // Nobody told this window of it yet.
  await fake.handlers['limits.stage']!({ set: [{ key: WAIT, value: 20 }], clear: [], rebase: false });
  expect(await draft.apply()).toBe(false);
  expect(edits.map(({ changes, staged }) => ({ changes, staged }))).toEqual([
    { changes: [{ key: QUEUE, value: 32 }], staged: [QUEUE] },
  ]);
  expect(draft.fault?.message).toBe('What is staged was changed elsewhere.');
  await waitFor(() => expect(draft.staged.get(WAIT)).toBe(20));
});
