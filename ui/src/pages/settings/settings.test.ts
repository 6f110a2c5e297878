import { cleanup, fireEvent, render, screen, waitFor, within } from '@testing-library/svelte';
import { afterEach, beforeEach, expect, it } from 'vitest';

import { useHost } from '../../lib/host';
import { fakeHost, type FakeHost } from '../../lib/host/fake';
import { router } from '../../lib/router.svelte';
import { live } from '../../lib/state/live.svelte';
import { session } from '../../lib/state/session.svelte';
import { toasts } from '../../lib/state/toasts.svelte';
import { draft } from '../../lib/settings/draft.svelte';
import { settingsAnswers } from './fake';
import Settings from './Settings.svelte';

let fake: FakeHost;
let stops: (() => void)[];

beforeEach(async () => {
  Element.prototype.scrollIntoView = () => undefined;
  fake = fakeHost(settingsAnswers(Date.now()));
  useHost(fake);
  location.hash = '#/settings/history';
  draft.specs = [];
  stops = [router.start(), live.start(), session.start()];
  render(Settings);
  await screen.findByText('Most disk space');
});
afterEach(() => {
  draft.clear();
  toasts.list = [];
  cleanup();
  stops.forEach((stop) => stop());
});

const row = (name: string) => screen.getByRole('group', { name });
const field = (name: string) => within(row(name)).getByRole<HTMLInputElement>('textbox');

it('a change is staged, shown as a diff, applied, and undone', async () => {
  await fireEvent.input(field('Most disk space'), { target: { value: '2048' } });
  const bar = await screen.findByRole('region', { name: 'Staged changes' });
  expect(bar.textContent).toContain('1 change staged');
  await waitFor(() => expect(screen.getByRole('tabpanel').textContent).toContain('max_mib = 2048'));
  const apply = within(bar).getByRole<HTMLButtonElement>('button', { name: /Apply 1/ });
  await waitFor(() => expect(apply.disabled).toBe(false));
  await fireEvent.click(apply);
  await waitFor(() => expect(toasts.list[0]?.text).toBe('Applied as revision 13'));
  expect(session.config?.settings.find((s) => s.key === 'history.max_mib')?.value).toBe(2048);
  expect(screen.queryByRole('region', { name: 'Staged changes' })).toBeNull();
  await fireEvent.keyDown(window, { key: 'z', ctrlKey: true });
  await waitFor(() =>
    expect(session.config?.settings.find((s) => s.key === 'history.max_mib')?.value).toBe(4096),
  );
  // The field was never left: it shows what is in force all the same.
  await waitFor(() => expect(field('Most disk space').value).toBe('4096'));
});

it('of several values one is chosen with the arrows, and Tab stops once', async () => {
  router.go('settings', 'window');
  await fireEvent(window, new HashChangeEvent('hashchange'));
  const group = await screen.findByRole('radiogroup', { name: 'Theme' });
  const stops = () =>
    within(group)
      .getAllByRole<HTMLElement>('radio')
      .map((r) => [r.textContent, r.tabIndex]);
  expect(stops()).toEqual([
    ['system', 0],
    ['dark', -1],
    ['light', -1],
  ]);
  within(group).getByRole('radio', { name: 'system' }).focus();
  await fireEvent.keyDown(document.activeElement!, { key: 'ArrowLeft' });
  expect(draft.staged.get('window.theme')).toBe('light');
  await waitFor(() => expect(stops()[2]).toEqual(['light', 0]));
  expect(document.activeElement?.textContent).toBe('light');
});

it('what cannot be read is refused in words and never staged', async () => {
  await fireEvent.input(field('Most disk space'), { target: { value: 'lots' } });
  expect(within(row('Most disk space')).getByRole('alert').textContent).toBe(
    'It is a whole number, 64–1048576.',
  );
  expect(draft.clean).toBe(true);
});

it('a locked setting names its variable and has no control', () => {
  const locked = row('Checkpoint');
  expect(within(locked).queryByRole('textbox')).toBeNull();
  expect(locked.textContent).toContain('PLIMSOLL_HISTORY__CHECKPOINT_S');
});

it('a search finds settings of every section, and says so when it finds none', async () => {
  const search = screen.getByRole('searchbox', { name: 'Find a setting' });
  await fireEvent.input(search, { target: { value: 'kilowatt' } });
  expect(row('Price of electricity')).toBeTruthy();
  expect(screen.queryByRole('group', { name: 'Most disk space' })).toBeNull();
  await fireEvent.input(search, { target: { value: 'zzz' } });
  expect(screen.getByText('No setting holds “zzz”')).toBeTruthy();
});

it('"keep less" stages the shorter span and says what it frees', async () => {
  const table = await screen.findByRole('table', { name: 'What each kind holds' });
  const raw = within(table).getByText('Every second').closest('tr')!;
  await fireEvent.click(within(raw).getByRole('button', { name: 'Stage' }));
  expect(draft.staged.get('history.keep.raw_hours')).toBe(12);
  expect(raw.textContent).toContain('317');
  await waitFor(() =>
    expect(screen.getByRole('tabpanel').textContent).toContain('Every second older than 12 h is deleted.'),
  );
});

it('a file that changed meanwhile is shown, and nothing is written over it', async () => {
  await fireEvent.input(field('Most disk space'), { target: { value: '2048' } });
  await waitFor(() => expect(draft.ready).toBe(true));
  const config = await fake.handlers.config!({});
  fake.handlers.config = () => ({ ...config, digest: 'other' });
  fake.emit({ event: 'config', revision: 12 });
  expect(await screen.findAllByText('The file changed since you began')).toHaveLength(2);
  expect(screen.getByRole<HTMLButtonElement>('button', { name: /Apply 1/ }).disabled).toBe(true);
  expect(fake.calls.some((c) => c.command === 'config.apply')).toBe(false);
});

it("a rule of one's own is added line by line, and can be removed", async () => {
  router.go('settings', 'alerts');
  await fireEvent(window, new HashChangeEvent('hashchange'));
  const add = await screen.findByRole<HTMLButtonElement>('button', { name: 'Add a rule' });
  await waitFor(() => expect(add.disabled).toBe(false));
  await fireEvent.click(add);
  const form = screen.getByRole('form', { name: 'A rule of your own' });
  const type = (label: RegExp, value: string) =>
    fireEvent.input(within(form).getByLabelText(label), { target: { value } });
  await type(/Name/, 'vram-low');
  await type(/Metric/, 'gpu.vram.free');
  await type(/Threshold/, '2');
  await fireEvent.click(within(form).getByRole('button', { name: 'Stage' }));
  expect(draft.staged.get('alerts.rules.vram-low.threshold')).toBe(2 * 2 ** 30);
  await waitFor(() => expect(draft.ready).toBe(true));
  await draft.apply();
  const own = (await screen.findByText('vram-low')).closest<HTMLElement>('[role="row"]')!;
  await fireEvent.click(within(own).getByRole('button', { name: 'Remove vram-low' }));
  expect(draft.staged.get('alerts.rules.vram-low.metric')).toBeNull();
  expect(own.textContent).toContain('Removed with Apply.');
});

it("a rule of one's own is edited whole, and only what differs is staged", async () => {
  router.go('settings', 'alerts');
  await fireEvent(window, new HashChangeEvent('hashchange'));
  await waitFor(() => expect(screen.getByText<HTMLButtonElement>('Add a rule').disabled).toBe(false));
  await fireEvent.click(await screen.findByRole('button', { name: 'Edit night-heat' }));
  const form = screen.getByRole('form', { name: 'Rule night-heat' });
  const fieldOf = (label: RegExp) => within(form).getByLabelText<HTMLInputElement>(label);
  expect(fieldOf(/Metric/).value).toBe('gpu.temperature');
  expect(fieldOf(/Title/).value).toBe('Warm at night');
  await fireEvent.input(fieldOf(/Title/), { target: { value: '' } });
  await fireEvent.input(fieldOf(/Only for/), { target: { value: 'GPU-1' } });
  await fireEvent.input(fieldOf(/Threshold/), { target: { value: 'warm' } });
  expect(within(form).getByText('A number.')).toBeTruthy();
  await fireEvent.input(fieldOf(/Threshold/), { target: { value: '72,5' } });
  await fireEvent.click(within(form).getByRole('button', { name: 'Stage' }));
  expect(Object.fromEntries(draft.staged)).toEqual({
    'alerts.rules.night-heat.threshold': 72.5,
    'alerts.rules.night-heat.title': null,
    'alerts.rules.night-heat.subject': 'GPU-1',
  });
  expect(screen.queryByRole('form')).toBeNull();
});

it('the form goes on while the file is edited by hand, and Apply writes both', async () => {
  draft.edit(`# by hand\n${session.config?.text ?? ''}`);
  await waitFor(() => expect(draft.ready).toBe(true));
  await fireEvent.input(field('Most disk space'), { target: { value: '2048' } });
  await waitFor(() => expect(draft.ready).toBe(true));
  expect(screen.getByRole('region', { name: 'Staged changes' }).textContent).toContain(
    'The file is edited, 1 change staged',
  );
  await draft.apply();
  expect(session.config?.text).toMatch(/^# by hand\n[^]*max_mib = 2048/);
});

it('a rollback says what it changes and becomes a new revision', async () => {
  await fireEvent.click(screen.getByRole('tab', { name: /Revisions/ }));
  await fireEvent.click(await screen.findByRole('button', { name: /r 11/ }));
  const panel = screen.getByRole('tabpanel');
  expect(panel.textContent).toContain('Going back to r 11 changes 1 value');
  fake.handlers['config.rollback'] = ({ revision, by }) => ({
    number: 13,
    at_ms: 1,
    by,
    rolled_back_to: revision,
    changed: [],
    diff: [],
  });
  await fireEvent.click(screen.getByRole('button', { name: 'Roll back to r 11' }));
  await waitFor(() => expect(toasts.list[0]?.text).toBe('Went back to revision 11, as revision 13'));
});
