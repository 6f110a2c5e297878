import { cleanup, fireEvent, render, screen, waitFor, within } from '@testing-library/svelte';
import { afterEach, beforeEach, expect, it } from 'vitest';

import type { LimitsStage } from '../../lib/bindings';
import { useHost } from '../../lib/host';
import { fakeHost, type FakeHost } from '../../lib/host/fake';
import { limits } from '../../lib/limits/limits.svelte';
import { router } from '../../lib/router.svelte';
import { draft } from '../../lib/settings/draft.svelte';
import { live } from '../../lib/state/live.svelte';
import { session } from '../../lib/state/session.svelte';
import { toasts } from '../../lib/state/toasts.svelte';
import { settingsAnswers } from '../settings/fake';
import { furnishLimits } from './fake';
import Limits from './Limits.svelte';

const KEY = 'services.chat.max_in_flight';
let fake: FakeHost;
let stops: (() => void)[] = [];

async function open(hash: string, search = '') {
  fake = furnishLimits(
    fakeHost({ series: () => [], marks: () => [], ...settingsAnswers(Date.now(), search) }),
    search,
  );
  for (const name of ['config.apply', 'config.rollback'] as const) {
    const answer = fake.handlers[name] as (ask: never) => { number: number };
    fake.handlers[name] = (async (ask: never) => {
      const made = await answer(ask);
      fake.emit({ event: 'config', revision: made.number });
      return made;
    }) as never;
  }
  useHost(fake);
  location.hash = hash;
  draft.specs = [];
  limits.forget();
  stops = [router.start(), live.start(), session.start(), limits.start()];
  render(Limits);
  await waitFor(() => expect(limits.view).not.toBeNull());
}
beforeEach(() => {
  Element.prototype.scrollIntoView = () => undefined;
});
afterEach(() => {
  cleanup();
  stops.forEach((stop) => stop());
  draft.clear();
  toasts.list = [];
});

const panel = (name: string) => screen.findByRole('region', { name });
const slider = async (name: string) => within(await panel(name)).getAllByRole('slider')[0] as HTMLElement;
const bar = () => screen.findByRole('region', { name: 'Staged changes' });
const staged = () =>
  fake.calls
    .filter((c) => c.command === 'limits.stage')
    .map((c) => (({ set, clear }) => ({ set, clear }))(c.args as LimitsStage));
const go = async (...rest: string[]) => {
  router.go('limits', ...rest);
  await fireEvent(window, new HashChangeEvent('hashchange'));
};

it('keys move a limit by one step, to the presets, to the ends and back to today', async () => {
  await open('#/limits/concurrency');
  const knob = await slider('Requests at once, chat');
  const press = async (key: string, more = {}) => {
    await fireEvent.keyDown(knob, { key, ...more });
    return draft.staged.get(KEY);
  };
  // Today is auto, and 4 holds.
  expect(await press('ArrowRight')).toBe(5);
  expect(await press('PageUp')).toBe(8);
  // Balanced is auto, which holds today.
  expect(await press('PageDown')).toBeUndefined();
  expect(await press('PageDown')).toBe(2);
  expect(await press('Home')).toBe(1);
  expect(await press('End')).toBe(16);
  expect(await press('ArrowLeft', { shiftKey: true })).toBe(6);
  expect(knob.getAttribute('aria-valuetext')).toBe('6');
  expect(await press('Delete')).toBeUndefined();
  expect(draft.clean).toBe(true);
});

it('what is staged says its effect, is kept, applied together with its restarts named, and undone', async () => {
  await open('#/limits/concurrency');
  await fireEvent.keyDown(await slider('Requests at once, chat'), { key: 'ArrowRight' });
  const chat = await panel('Requests at once, chat');
  await waitFor(() =>
    expect(chat.textContent).toContain('76 of the last 1000 requests would have waited 2.1 s less'),
  );
  expect(chat.textContent).toContain('auto →');
  await waitFor(() => expect(staged().at(-1)).toEqual({ set: [{ key: KEY, value: 5 }], clear: [] }));

  await go('vram');
  await fireEvent.click(within(await panel('KV cache type, chat')).getByRole('radio', { name: /q8_0/ }));
  const apply = await within(await bar()).findByRole<HTMLButtonElement>('button', {
    name: 'Apply 2, restarts chat (about 9 s)',
  });
  await waitFor(() => expect(apply.disabled).toBe(false));
  await fireEvent.click(apply);
  await waitFor(() => expect(toasts.list.some((t) => t.text === 'Applied as revision 13')).toBe(true));
  // Once, and because the button said so.
  expect(fake.calls.filter((c) => c.command === 'services.restart').map((c) => c.args)).toEqual([
    { id: 'chat' },
  ]);
  expect(session.config?.settings.find((s) => s.key === KEY)?.value).toBe(5);
  // As it was looked at, and off the draft from then on.
  expect(fake.calls.find((c) => c.command === 'config.apply')?.args).toMatchObject({
    staged: [KEY, 'services.chat.kv_type'],
  });
  await waitFor(() => expect(staged().at(-1)).toEqual({ set: [], clear: [KEY, 'services.chat.kv_type'] }));
  await fireEvent.keyDown(window, { key: 'z', ctrlKey: true });
  await waitFor(() => expect(session.config?.settings.find((s) => s.key === KEY)?.value).toBe('auto'));
});

it('a draft of yesterday stands there again, and says what changed under it', async () => {
  await open('#/limits/staged', '?fake=drafted');
  await waitFor(() => expect(draft.staged.get('gateway.queue.max')).toBe(32));
  expect((await panel('Waiting requests')).textContent).toContain('1000 →');
  const { digest } = await fake.handlers.config!({});
  await fake.handlers['config.apply']!({
    base: digest,
    changes: [{ key: 'gateway.queue.max', value: 500 }],
    text: null,
    by: 'file',
  });
  expect(await screen.findAllByText('The file changed since you began')).toHaveLength(2);
  await waitFor(async () =>
    expect((await panel('Waiting requests')).textContent).toContain(
      'Changed elsewhere meanwhile: 1000 → 500.',
    ),
  );
  expect(within(await bar()).getByRole<HTMLButtonElement>('button', { name: /^Apply/ }).disabled).toBe(true);
  await fireEvent.click(screen.getByRole('button', { name: 'Keep mine on the new file' }));
  // Plimsoll is told that a person has looked.
  await waitFor(() =>
    expect(
      fake.calls.some((c) => c.command === 'limits.stage' && (c.args as { rebase: boolean }).rebase),
    ).toBe(true),
  );
  await waitFor(() => expect(screen.queryByText('The file changed since you began')).toBeNull());
});

it('a preset says what it changes before it is chosen, and stages just that', async () => {
  await open('#/limits/concurrency');
  await fireEvent.click(await screen.findByRole('button', { name: 'Conservative' }));
  const preview = await panel('Conservative: what it changes');
  expect(preview.textContent).toContain('Waiting requests 1000 100');
  expect(preview.textContent).toContain('Locked, and left as they are');
  expect(draft.clean).toBe(true);
  const changes = limits.view?.presets[0]?.changes ?? [];
  await fireEvent.click(within(preview).getByRole('button', { name: `Stage ${changes.length} changes` }));
  expect([...draft.staged.keys()].sort()).toEqual(changes.map((c) => c.key).sort());
});

it('a locked limit says why, and nothing moves it', async () => {
  await open('#/limits/disk');
  const locked = await panel('Checkpoint');
  expect(locked.textContent).toContain('PLIMSOLL_HISTORY__CHECKPOINT_S is set');
  expect(within(locked).queryByRole('textbox')).toBeNull();
  await fireEvent.keyDown(await slider('Checkpoint'), { key: 'End' });
  expect(draft.clean).toBe(true);
});

it('every limit is found by search, wherever it stands', async () => {
  await open('#/limits/concurrency');
  const search = screen.getByRole('searchbox', { name: 'Find a limit' });
  await fireEvent.input(search, { target: { value: 'queue refused' } });
  expect(await panel('Waiting requests')).toBeTruthy();
  expect(screen.queryByRole('region', { name: 'Requests at once, chat' })).toBeNull();
  await fireEvent.input(search, { target: { value: 'zzz' } });
  expect(screen.getByText('No limit holds “zzz”')).toBeTruthy();
});

it('a revision is compared over equal spans, and undone with one click', async () => {
  await open('#/limits/r-9');
  const compared = await panel('What revision 9 did');
  await waitFor(() => expect(compared.textContent).toContain('TTFT p95'));
  expect(compared.textContent).toContain('clearly worse');
  expect(compared.textContent).toContain('16 min on each side');
});

it('what cannot be read is said, with the way to try again', async () => {
  await open('#/limits/concurrency');
  cleanup();
  fake.handlers.limits = () => {
    throw new Error('The disk is gone.');
  };
  limits.forget();
  render(Limits);
  expect((await screen.findByRole('alert')).textContent).toContain('The disk is gone.');
  expect(screen.getByRole('button', { name: 'Try again' })).toBeTruthy();
});

it('a number that is not accepted is refused in words and never staged', async () => {
  await open('#/limits/concurrency');
  const chat = await panel('Requests at once, chat');
  const field = within(chat).getByRole<HTMLInputElement>('textbox');
  await fireEvent.input(field, { target: { value: 'lots' } });
  expect(within(chat).getByRole('alert').textContent).toBe('It is auto or a whole number, 1–65536.');
  expect(draft.clean).toBe(true);
  await fireEvent.input(field, { target: { value: '12' } });
  expect(draft.staged.get(KEY)).toBe(12);
});

it('one that is asked for by its name is shown in its group, and a search gives way to it', async () => {
  const seen: string[] = [];
  Element.prototype.scrollIntoView = function (this: HTMLElement) {
    seen.push(this.dataset.key ?? '');
  };
  await open('#/limits/all');
  await fireEvent.input(screen.getByRole('searchbox', { name: 'Find a limit' }), {
    target: { value: 'nothing is called that' },
  });
  expect(screen.queryAllByRole('slider')).toEqual([]);
  await go(`?key=${KEY}`);
  const found = await panel('Requests at once, chat');
  expect(found.classList.contains('found')).toBe(true);
  expect(seen).toEqual([KEY]);
  expect(screen.getByRole('link', { current: 'page' }).textContent).toContain('Concurrency');
});

it('a slider ends where another limit would refuse it, says which, and goes on once that one moved', async () => {
  await open('#/limits/retries');
  const all = 'Held for tries in all';
  await fireEvent.keyDown(await slider(all), { key: 'Home' });
  expect((await slider(all)).getAttribute('aria-valuetext')).toBe('50 MiB');
  expect((await panel(all)).textContent).toMatch(/No lower than\s+Largest body tried again, 50 MiB\./);
  expect((await slider(all)).getAttribute('aria-valuemin')).toBe('50');
  // Its conservative value lies beyond.
  const beyond = within(await panel(all)).getByRole('button', { name: 'Conservative: 32 MiB' });
  expect((beyond as HTMLButtonElement).disabled).toBe(true);

  await fireEvent.keyDown(await slider('Largest body tried again'), { key: 'PageDown' });
  await waitFor(async () => expect((await slider(all)).getAttribute('aria-valuemin')).toBe('8'));
  expect((await panel(all)).textContent).not.toContain('No lower than');
  expect((beyond as HTMLButtonElement).disabled).toBe(false);
});

it('what is staged says of which group it is, for its name alone may not', async () => {
  await open('#/limits/staged', '?fake=drafted');
  expect((await panel('Waiting requests')).textContent).toContain('Queue and waiting');
  await go('queue');
  expect((await panel('Waiting requests')).textContent).not.toContain('Queue and waiting');
});
