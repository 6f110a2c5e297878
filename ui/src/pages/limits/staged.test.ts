import { cleanup, fireEvent, render, screen, waitFor, within } from '@testing-library/svelte';
import { afterEach, beforeEach, expect, it } from 'vitest';

import type { LimitsView, Revision, RunState, Service } from '../../lib/bindings';
import { useHost } from '../../lib/host';
import { fakeHost, type FakeHost } from '../../lib/host/fake';
import { limits } from '../../lib/limits/limits.svelte';
import { router } from '../../lib/router.svelte';
import { draft } from '../../lib/settings/draft.svelte';
import { live } from '../../lib/state/live.svelte';
import { services } from '../../lib/state/services.svelte';
import { session } from '../../lib/state/session.svelte';
import { toasts } from '../../lib/state/toasts.svelte';
import UndoChange from '../../lib/UndoChange.svelte';
import { settingsAnswers } from '../settings/fake';
import { furnishLimits } from './fake';
import Limits from './Limits.svelte';

const ROOM = 'services.chat.max_in_flight';
const KV = 'services.chat.kv_type';
const QUEUE = 'gateway.queue.max';
let fake: FakeHost;
let stops: (() => void)[] = [];

async function open(hash: string, search = '', furnish: (fake: FakeHost) => void = () => undefined) {
  fake = furnishLimits(
    fakeHost({ series: () => [], marks: () => [], ...settingsAnswers(Date.now(), search) }),
    search,
  );
  furnish(fake);
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
  services.view = null;
});

const panel = (name: string) => screen.findByRole('region', { name });
const go = async (...rest: string[]) => {
  router.go('limits', ...rest);
  await fireEvent(window, new HashChangeEvent('hashchange'));
};
const chat = (state: RunState) => [{ id: 'chat', name: 'chat', run: { state } } as Service];
const revision = (changed: Revision['changed']): Revision => ({
  number: 40,
  at_ms: 1,
  by: 'window',
  rolled_back_to: null,
  changed,
  diff: [],
});
const LAUNCH = [{ key: KV, old: 'q4_0', new: 'q8_0' }];

it('a panel among the staged stays while its value passes that of today, with the focus in it', async () => {
  await open('#/limits/staged', '?fake=drafted');
  const field = () =>
    within(document.body).getByRole<HTMLInputElement>('textbox', { name: 'Waiting requests' });
  await panel('Waiting requests');
  const entered = field();
  entered.focus();
  await fireEvent.input(entered, { target: { value: '1000' } });
  await waitFor(() => expect(draft.staged.has(QUEUE)).toBe(false));
  expect(document.activeElement).toBe(entered);
  expect(field()).toBe(entered);
  await fireEvent.input(entered, { target: { value: '1001' } });
  expect(draft.staged.get(QUEUE)).toBe(1001);
  await fireEvent.input(entered, { target: { value: '1000' } });

  // Another view forgets it.
  await go('vram');
  await panel('KV cache type, chat');
  await go('staged');
  await panel('KV cache type, chat');
  expect(screen.queryByRole('region', { name: 'Waiting requests' })).toBeNull();
  draft.discard();
  expect(await screen.findByText('Nothing is staged')).toBeTruthy();
});

it('Escape in the field brings back what was staged when it was entered', async () => {
  await open('#/limits/staged', '?fake=drafted');
  const field = within(await panel('Waiting requests')).getByRole<HTMLInputElement>('textbox');
  await fireEvent.focus(field);
  await fireEvent.input(field, { target: { value: '64' } });
  await fireEvent.input(field, { target: { value: '640' } });
  expect(draft.staged.get(QUEUE)).toBe(640);
  await fireEvent.keyDown(field, { key: 'Escape' });
  expect(draft.staged.get(QUEUE)).toBe(32);
  expect(field.value).toBe('32');
  // What was not staged then is not staged again.
  await go('concurrency');
  const room = within(await panel(limits.byKey.get('gateway.max_in_flight')!.title));
  const other = room.getByRole<HTMLInputElement>('textbox');
  await fireEvent.focus(other);
  await fireEvent.input(other, { target: { value: '3' } });
  expect(draft.staged.get('gateway.max_in_flight')).toBe(3);
  await fireEvent.keyDown(other, { key: 'Escape' });
  expect(draft.staged.has('gateway.max_in_flight')).toBe(false);
});

it('an effect is said of the value that it was asked for, never of the next one', async () => {
  await open('#/limits/concurrency');
  const at = await panel('Requests at once, chat');
  const knob = within(at).getAllByRole('slider')[0] as HTMLElement;
  await fireEvent.keyDown(knob, { key: 'ArrowRight' });
  await waitFor(() => expect(at.querySelector('.eff b')?.textContent).toContain('76 of the last 1000'));
  let answer: (() => void) | undefined;
  const effect = fake.handlers['limits.effect']!;
  fake.handlers['limits.effect'] = async (asked) => {
    await new Promise<void>((done) => (answer = done));
    return effect(asked);
  };
  await fireEvent.keyDown(knob, { key: 'ArrowRight' });
  expect(at.querySelector('.eff b')).toBeNull();
  expect(at.querySelector('.eff [aria-busy=true]')?.textContent).toContain('At 5: 76 of the last 1000');
  expect(limits.pending).toBe(true);
  await waitFor(() => expect(answer).toBeDefined());
  answer?.();
  await waitFor(() => expect(at.querySelector('.eff b')?.textContent).toContain('152 of the last 1000'));
  expect(limits.pending).toBe(false);
});

it('what is staged of a service that is not found now is kept until a person discards it', async () => {
  await open('#/limits/staged', '?fake=drafted', (of) => {
    const all = of.handlers.limits!;
    of.handlers.limits = async (ask) => {
      const view = await all(ask);
      return { ...view, limits: view.limits.filter(({ key }) => !key.startsWith('services.')) };
    };
  });
  await waitFor(() => expect(draft.staged.get(ROOM)).toBe(6));
  const staged = () => fake.calls.filter((c) => c.command === 'limits.stage').map((c) => c.args);
  const queue = limits.byKey.get(QUEUE)!;
  limits.set(queue, 48);
  await waitFor(() =>
    expect(staged().at(-1)).toEqual({ set: [{ key: QUEUE, value: 48 }], clear: [], rebase: false }),
  );
  draft.discard();
  await waitFor(() => expect(staged().at(-1)).toMatchObject({ set: [], clear: [ROOM, KV, QUEUE] }));
});

it('a reset that was applied elsewhere is staged no more', async () => {
  await open('#/limits/queue');
  const change = async (value: number | null) => {
    const { digest } = await fake.handlers.config!({});
    const made = await fake.handlers['config.apply']!({
      base: digest,
      changes: [{ key: QUEUE, value }],
      text: null,
      by: 'cli',
    });
    await session.reload();
    await limits.load();
    return made;
  };
  await change(500);
  limits.set(limits.byKey.get(QUEUE)!, null);
  expect([...draft.staged]).toEqual([[QUEUE, null]]);
  await change(null);
  expect([...draft.staged]).toEqual([]);
});

it('an older answer takes no newer view away', async () => {
  await open('#/limits/queue');
  const now = limits.view as LimitsView;
  const answers: ((view: LimitsView) => void)[] = [];
  fake.handlers.limits = () => new Promise((answer) => answers.push(answer));
  const both = [limits.load(), limits.load()];
  await waitFor(() => expect(answers).toHaveLength(2));
  answers[1]?.({ ...now, revision: 31 });
  await both[1];
  answers[0]?.({ ...now, revision: 30 });
  await both[0];
  expect(limits.view?.revision).toBe(31);
});

it('an undo names the service that it starts anew', async () => {
  await open('#/limits/queue', '', (of) => {
    const list = of.handlers['config.revisions']!;
    of.handlers['config.revisions'] = async (ask) => [revision(LAUNCH), ...(await list(ask))];
  });
  expect(limits.restartsBy(LAUNCH)).toBe('restarts chat (about 9 s)');
  expect(limits.restartsBy([{ key: QUEUE }])).toBe('');
  await go('r-40');
  await within(await panel('What revision 40 did')).findByRole('button', {
    name: 'Undo, restarts chat (about 9 s)',
  });
  // And beside its mark on a chart.
  cleanup();
  render(UndoChange, { revision: 40 });
  await fireEvent.click(screen.getByRole('button', { name: 'Undo' }));
  await screen.findByRole('button', { name: 'Undo it, restarts chat (about 9 s)' });
});

it('a service that a person stopped is neither promised a start nor started', async () => {
  let state: RunState = 'stopped';
  await open('#/limits/queue', '', (of) => {
    of.handlers.services = () => chat(state);
  });
  services.view = { at_ms: 1, services: chat('stopped') };
  expect(limits.restartsBy(LAUNCH)).toBe('');
  const starts = () => fake.calls.filter((c) => c.command === 'services.restart').length;
  draft.made(revision(LAUNCH), 39);
  await waitFor(() =>
    expect(toasts.list.at(-1)?.text).toBe('chat stays stopped; it takes hold when chat is started'),
  );
  expect(starts()).toBe(0);
  state = 'running';
  // Nothing is new: neither is a start.
  expect(draft.made(revision(LAUNCH), 40)).toBe(false);
  expect(starts()).toBe(0);
  draft.made(revision(LAUNCH), 39);
  await waitFor(() => expect(starts()).toBe(1));
});

it('what is staged of a service that is gone is named, and can be left out alone', async () => {
  await open('#/limits/staged');
  draft.setAll([
    [ROOM, 2],
    [QUEUE, 64],
  ]);
  await waitFor(() => expect(limits.absent).toEqual([]));
  const answer = fake.handlers.limits as () => Promise<LimitsView>;
  fake.handlers.limits = async () => {
    const view = await answer();
    return { ...view, limits: view.limits.filter(({ key }) => !key.startsWith('services.chat.')) };
  };
  await limits.load();
  const said = await screen.findByText(/Staged for what is not there now/);
  expect(said.textContent).toContain(ROOM);
  await fireEvent.click(screen.getByRole('button', { name: 'Leave it out' }));
  expect([...draft.staged.keys()]).toEqual([QUEUE]);
  expect(screen.queryByText(/Staged for what is not there now/)).toBeNull();
});
