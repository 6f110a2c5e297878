import { cleanup, fireEvent, render, screen, waitFor, within } from '@testing-library/svelte';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { SettingSpec, SettingState, SettingValue } from '../../lib/bindings';
import { useHost } from '../../lib/host';
import { fakeHost } from '../../lib/host/fake';
import { router } from '../../lib/router.svelte';
import { draft } from '../../lib/settings/draft.svelte';
import type { Item } from '../../lib/settings/values';
import { live } from '../../lib/state/live.svelte';
import { session } from '../../lib/state/session.svelte';
import { settingsAnswers } from './fake';
import { changesOf, FAMILIES, members, problemOf } from './members';
import Settings from './Settings.svelte';

const ROUTES = FAMILIES.Routes!;
const CLIENTS = FAMILIES.Clients!;

function item(key: string, value: SettingValue): Item {
  return { key, spec: {} as SettingSpec, state: { key, value } as SettingState };
}

describe('members', () => {
  const items = [
    item('gateway.routes.fast.models', ['fast', 'gpt-4*']),
    item('gateway.routes.fast.send_as', 'qwen3:4b'),
    item('gateway.clients.max_in_flight', 4),
    item('services.chat.url', 'http://x'),
  ];

  it('are those in the file and those that are staged, each once', () => {
    expect(members(ROUTES, items, new Map())).toEqual([
      { id: 'fast', says: 'fast, gpt-4* → qwen3:4b', state: 'there' },
    ]);
    const staged = new Map<string, SettingValue | null>([
      ['gateway.routes.fast', null],
      ['gateway.routes.slow.models', ['slow']],
      ['gateway.clients.nightly.program', 'python3'],
    ]);
    expect(members(ROUTES, items, staged).map((m) => [m.id, m.state])).toEqual([
      ['fast', 'removed'],
      ['slow', 'added'],
    ]);
    expect(members(CLIENTS, items, staged).map((m) => m.id)).toEqual(['nightly']);
  });

  it('need a name that nobody has, and something to be for', () => {
    expect(problemOf(ROUTES, 'My route', { models: 'a' }, [])).toContain('a–z');
    expect(problemOf(ROUTES, 'fast', { models: 'a' }, ['fast'])).toContain('already');
    expect(problemOf(ROUTES, 'fast', { send_as: 'a' }, [])).toContain('needs models');
    expect(problemOf(CLIENTS, 'ide', { program: ' ' }, [])).toContain('to be told by');
    expect(problemOf(CLIENTS, 'ide', { key: 'mine' }, [])).toBeNull();
  });

  it('are staged with what was filled in alone', () => {
    expect(changesOf(ROUTES, 'fast', { models: 'a, b*,', send_as: '' })).toEqual([
      ['gateway.routes.fast.models', ['a', 'b*']],
    ]);
    expect(changesOf(CLIENTS, 'ide', { program: ' code ' })).toEqual([
      ['gateway.clients.ide.program', 'code'],
    ]);
  });
});

describe('the section', () => {
  let stops: (() => void)[];
  beforeEach(async () => {
    Element.prototype.scrollIntoView = () => undefined;
    useHost(fakeHost(settingsAnswers(Date.now())));
    location.hash = '#/settings/routes';
    draft.specs = [];
    stops = [router.start(), live.start(), session.start()];
    render(Settings);
    await screen.findByRole('region', { name: 'Routes' });
  });
  afterEach(() => {
    draft.clear();
    cleanup();
    stops.forEach((stop) => stop());
  });

  it('says that there is none, and stages a new one and its end', async () => {
    expect(screen.getByText('There is none.')).toBeTruthy();
    await fireEvent.click(screen.getByRole('button', { name: 'Add a route' }));
    const form = screen.getByRole('form', { name: 'A new route' });
    const type = (name: string, value: string) =>
      fireEvent.input(within(form).getByLabelText(name), { target: { value } });
    await type('Name', 'fast');
    expect(within(form).getByRole('status').textContent).toContain('needs models');
    await type('Models', 'fast, gpt-4*');
    await fireEvent.click(within(form).getByRole('button', { name: 'Stage' }));
    expect(draft.staged.get('gateway.routes.fast.models')).toEqual(['fast', 'gpt-4*']);
    expect(screen.queryByRole('form', { name: 'A new route' })).toBeNull();
    const list = screen.getByRole('region', { name: 'Routes' });
    await waitFor(() => expect(list.textContent).toContain('fast, gpt-4*'));
    await fireEvent.click(within(list).getByRole('button', { name: 'Remove fast' }));
    expect(draft.staged.size).toBe(0);
  });
});
