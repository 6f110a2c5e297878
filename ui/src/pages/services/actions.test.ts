// What a person does on the page, and what Plimsoll is asked for by it.

import { cleanup, fireEvent, render, screen, waitFor, within } from '@testing-library/svelte';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { JobProgress, Service, ServicesFound } from '../../lib/bindings';
import { CallError, useHost, type CommandName } from '../../lib/host';
import { fakeHost, type FakeHost } from '../../lib/host/fake';
import { router } from '../../lib/router.svelte';
import { live } from '../../lib/state/live.svelte';
import { range } from '../../lib/state/range.svelte';
import { services as store } from '../../lib/state/services.svelte';
import { session } from '../../lib/state/session.svelte';
import { toasts } from '../../lib/state/toasts.svelte';
import { acts } from './acts.svelte';
import { found } from './found.svelte';
import Services from './Services.svelte';
import { model, run, some } from './testing';

const GIB = 2 ** 30;
let fake: FakeHost;
let list: Service[];
let known: ServicesFound;
let stops: (() => void)[];

const settings = (more: Record<string, string | number | boolean> = {}) =>
  Object.entries({ 'services.discover': true, 'services.chat.url': 'http://127.0.0.1:8080', ...more }).map(
    ([key, value]) => ({ key, spec: key, value, default: value, origin: { from: 'file' as const, line: 1 } }),
  );
const config = (more = {}) => ({
  path: '/p',
  text: '',
  revision: 7,
  digest: 'abc',
  problems: [],
  settings: settings(more),
});

beforeEach(() => {
  const ollama = {
    kind: 'ollama',
    url: 'http://127.0.0.1:11434',
    origin: 'proposed',
    state: 'unknown',
  } as const;
  list = [
    some('chat', { kind: 'llama-cpp' }),
    some('speech', {
      kind: 'speaches',
      origin: 'accepted',
      actions: { load: true, unload: true },
      models: [
        model('large', { size_bytes: GIB, vram_bytes: GIB, gpu_share: 1 }),
        model('small', { loaded: 'unloaded' }),
      ],
    }),
    some('ours', {
      kind: 'llama-cpp',
      slots: { total: 4, busy: 3, waiting: 0, basis: 'told' },
      run: run({ planned_vram_bytes: 8 * GIB }),
    }),
    some('ollama', ollama),
  ];
  known = { searching: true, looked_ms: Date.now(), ignored: [], docker: null };
  fake = fakeHost({
    services: () => list,
    'services.found': () => ({ ...known }),
    'services.accept': ({ id }) => {
      list = list.map((s) => (s.id === id ? { ...s, origin: 'accepted', state: 'healthy' } : s));
      return { message: `${id} is watched` };
    },
    'services.ignore': ({ id }) => {
      list = list.filter((s) => s.id !== id);
      known.ignored = [{ id, name: id, kind: 'ollama', url: 'http://127.0.0.1:11434', live: true }];
      return { message: `${id} is not proposed again` };
    },
    'services.restore': () => ({ message: '' }),
    'services.remove': ({ id }) => {
      list = list.filter((s) => s.id !== id);
      return { message: `${id} is gone`, revision: 8 };
    },
    'services.stop': () => ({ message: 'stopping' }),
    'services.start': () => ({ message: 'starting' }),
    'services.output': () => ({ lines: [{ at_ms: 1, text: 'listening' }], file: '/log' }),
    'services.load': () => ({ job: 5 }),
    'services.unload': () => ({ job: 6 }),
    'services.test': ({ target }) => ({
      url: target,
      kind: 'ollama',
      version: null,
      state: 'healthy',
      models: [],
      took_ms: 4,
      message: `Ollama answers at ${target} within 4 ms.`,
    }),
    'services.add': () => {
      list = [...list, some('new')];
      return { id: 'new', revision: 9 };
    },
    'config.undo': () => ({ number: 10, at_ms: 0, by: '', rolled_back_to: null, changed: [], diff: [] }),
    'config.apply': () => ({ number: 11, at_ms: 0, by: '', rolled_back_to: null, changed: [], diff: [] }),
    'jobs.cancel': () => ({ message: '' }),
    config: () => config(),
    series: () => [],
    marks: () => [],
    processes: () => ({ at_ms: 0, interval_ms: 5000, processes: [], vram_unknown: null }),
    recall: () => null,
    remember: () => ({ message: '' }),
  });
  useHost(fake);
  store.view = null;
  store.fault = null;
  found.view = null;
  session.config = config();
  toasts.list = [];
  for (const { id } of list) acts.dismiss(id);
  range.goLive();
  location.hash = '#/services';
  stops = [router.start(), live.start()];
});
afterEach(() => {
  cleanup();
  stops.forEach((stop) => stop());
});

const asked = (command: CommandName) => fake.calls.filter((c) => c.command === command).map((c) => c.args);
const button = (name: string | RegExp, within_: HTMLElement = document.body) =>
  within(within_).getByRole<HTMLButtonElement>('button', { name });
const detail = (name: string) => screen.findByRole('region', { name: `Service ${name}` });
async function open(id: string) {
  render(Services);
  await screen.findByRole('grid');
  await fireEvent.click(document.getElementById(`service-${id}`)!);
  return detail(id);
}
const toast = (text: string) =>
  waitFor(() => {
    const it = toasts.list.find((t) => t.text.includes(text));
    expect(it).toBeTruthy();
    return it!;
  });
const job = (more: Partial<JobProgress>) =>
  fake.emit({
    event: 'job',
    job: { job: 5, title: 'Load small', state: 'running', share: 0, message: '', ...more },
  });

describe('what was found', () => {
  it('is watched with one click, and chosen', async () => {
    render(Services);
    await screen.findByRole('grid');
    await fireEvent.click(button('Add ollama, Ollama on :11434'));
    expect(asked('services.accept')).toEqual([{ id: 'ollama' }]);
    expect(await detail('ollama')).toBeTruthy();
    expect(screen.queryByRole('group', { name: 'Found on this machine' })).toBeNull();
  });

  it('is ignored with a way back, and stands behind a quiet line', async () => {
    render(Services);
    await screen.findByRole('grid');
    await fireEvent.click(button('Ignore ollama, Ollama on :11434'));
    const said = await toast('not proposed again');
    const show = await screen.findByRole('button', { name: 'Show 1 ignored one' });
    expect(show.getAttribute('aria-expanded')).toBe('false');
    await fireEvent.click(show);
    await fireEvent.click(button('Propose ollama again'));
    expect(asked('services.restore')).toEqual([{ id: 'ollama' }]);
    await waitFor(() => expect(button('Propose ollama again').disabled).toBe(false));
    said.action?.run();
    await waitFor(() => expect(asked('services.restore')).toHaveLength(2));
  });

  it('says at its row why it cannot be watched', async () => {
    fake.handlers['services.accept'] = () => {
      throw new CallError({ code: 'conflict', message: 'There are 100 services already.', hint: null });
    };
    render(Services);
    await screen.findByRole('grid');
    await fireEvent.click(button('Add ollama, Ollama on :11434'));
    expect((await screen.findByRole('alert')).textContent).toContain('100 services');
  });

  it('says why containers are not seen, and that nothing is looked for, with the way to the setting', async () => {
    known.docker = 'The socket of Docker may not be read.';
    render(Services);
    expect(await screen.findByText('The socket of Docker may not be read.')).toBeTruthy();
    session.config = config({ 'services.discover': false });
    const link = await screen.findByRole('link', { name: 'Look for them' });
    expect(link.getAttribute('href')).toBe('#/settings?key=services.discover');
  });
});

describe('nothing is watched', () => {
  it('says what is looked for, and offers the form', async () => {
    list = [];
    render(Services);
    expect(await screen.findByText('No service was found yet')).toBeTruthy();
    await fireEvent.click(button('Add by address'));
    expect(await screen.findByRole('region', { name: 'Add a service' })).toBeTruthy();
  });

  it('says that it has not looked yet, and what is off', async () => {
    list = [];
    known.looked_ms = null;
    render(Services);
    expect(await screen.findByText('Looking for services')).toBeTruthy();
    session.config = config({ 'services.discover': false });
    expect(await screen.findByRole('link', { name: 'Look for services' })).toBeTruthy();
  });

  it('stands in its frame before the first answer', async () => {
    let answer: (list: Service[]) => void = () => undefined;
    fake.handlers.services = () => new Promise((answered) => (answer = answered));
    render(Services);
    expect(screen.getByLabelText('The services are asked for')).toBeTruthy();
    expect(button('Add a service').disabled).toBe(true);
    await waitFor(() => expect(asked('services')).toHaveLength(1));
    answer(list);
    expect(await screen.findByRole('grid')).toBeTruthy();
  });
});

describe('a new one', () => {
  const form = () => screen.findByRole('region', { name: 'Add a service' });
  const type = async (label: string, value: string) => {
    const field = screen.getByLabelText<HTMLInputElement>(label);
    await fireEvent.input(field, { target: { value } });
    await fireEvent.blur(field);
  };
  async function begin() {
    render(Services);
    await screen.findByRole('grid');
    await fireEvent.click(button('Add a service'));
    return form();
  }

  it('is tried before it is added, as it would be added', async () => {
    const panel = await begin();
    expect(document.activeElement).toBe(screen.getByLabelText('Address'));
    await type('Address', '11434');
    await type('Key file', '/k');
    await fireEvent.click(button('Test connection', panel));
    expect(asked('services.test')).toEqual([
      { target: 'http://127.0.0.1:11434', kind: 'auto', key_file: '/k' },
    ]);
    expect(await within(panel).findByText(/Ollama answers at/)).toBeTruthy();
    await fireEvent.submit(panel.querySelector('form')!);
    expect(asked('services.add')).toEqual([
      { id: null, url: 'http://127.0.0.1:11434', name: '', kind: '', key_file: '/k', by: 'window' },
    ]);
    expect(await detail('new')).toBeTruthy();
    (await toast('revision 9')).action?.run();
    await waitFor(() => expect(asked('config.undo')).toEqual([{ revision: 9, by: 'window' }]));
  });

  it('says beside the field what is wrong, and asks nobody', async () => {
    const panel = await begin();
    await fireEvent.submit(panel.querySelector('form')!);
    const address = screen.getByLabelText('Address');
    expect(address.getAttribute('aria-invalid')).toBe('true');
    expect(document.getElementById(address.getAttribute('aria-describedby')!)?.textContent).toContain(
      'Where it is',
    );
    expect(document.activeElement).toBe(address);
    expect(asked('services.add')).toEqual([]);
  });

  it('what Plimsoll refuses stands at its field', async () => {
    fake.handlers['services.add'] = () => {
      throw new CallError({
        code: 'invalid',
        message: 'Its key file /k cannot be used: it is empty.',
        hint: null,
      });
    };
    const panel = await begin();
    await type('Address', '11434');
    await type('Key file', '/k');
    await fireEvent.submit(panel.querySelector('form')!);
    await waitFor(() => expect(screen.getByLabelText('Key file').getAttribute('aria-invalid')).toBe('true'));
    expect(panel.textContent).toContain('it is empty');
  });

  it('Escape leaves it, gives the focus back, and what was typed is there again', async () => {
    const panel = await begin();
    await type('Name', 'Half');
    await fireEvent.keyDown(panel, { key: 'Escape' });
    await waitFor(() => expect(document.activeElement).toBe(button('Add a service')));
    await fireEvent.click(button('Add a service'));
    await form();
    expect(screen.getByLabelText<HTMLInputElement>('Name').value).toBe('Half');
    await type('Name', '');
  });

  it('comes from the palette as well', async () => {
    location.hash = '#/services?do=add';
    render(Services);
    expect(await form()).toBeTruthy();
  });
});

describe('one that is watched', () => {
  it('is tried out on the spot, by its id where the settings know its key', async () => {
    const panel = await open('chat');
    await fireEvent.click(button('Test connection', panel));
    expect(asked('services.test')).toMatchObject([{ target: 'chat' }]);
    expect(await within(panel).findByText(/answers at chat/)).toBeTruthy();
  });

  it('is changed on the file that the form began with; only what changed is written', async () => {
    const panel = await open('chat');
    await fireEvent.click(button('Edit', panel));
    const edit = await screen.findByRole('region', { name: 'Change chat' });
    expect(screen.getByLabelText<HTMLInputElement>('Address').value).toBe('http://127.0.0.1:8080');
    expect(button('Save', edit).disabled).toBe(true);
    await fireEvent.input(screen.getByLabelText('Name'), { target: { value: 'Chat' } });
    await fireEvent.submit(edit.querySelector('form')!);
    expect(asked('config.apply')).toEqual([
      { base: 'abc', changes: [{ key: 'services.chat.name', value: 'Chat' }], text: null, by: 'window' },
    ]);
    expect(await detail('chat')).toBeTruthy();
    expect((await toast('revision 11')).action?.label).toBe('Undo');
  });

  it('a file that changed meanwhile loses nothing of what was typed', async () => {
    fake.handlers['config.apply'] = () => {
      throw new CallError({ code: 'conflict', message: 'The file changed.', hint: null });
    };
    await open('chat');
    await fireEvent.click(button('Edit'));
    const edit = await screen.findByRole('region', { name: 'Change chat' });
    await fireEvent.input(screen.getByLabelText('Name'), { target: { value: 'Chat' } });
    await fireEvent.submit(edit.querySelector('form')!);
    expect((await screen.findByRole('alert')).textContent).toContain('Save once more');
    expect(screen.getByLabelText<HTMLInputElement>('Name').value).toBe('Chat');
  });

  it('is removed with a way back', async () => {
    const panel = await open('chat');
    await fireEvent.click(button('Remove', panel));
    expect(asked('services.remove')).toEqual([{ id: 'chat', by: 'window' }]);
    (await toast('chat is gone')).action?.run();
    await waitFor(() => expect(asked('config.undo')).toEqual([{ revision: 8, by: 'window' }]));
    expect(document.activeElement).toBe(screen.getByRole('grid'));
  });

  it('that was found comes back by being accepted again', async () => {
    fake.handlers['services.remove'] = () => ({ message: 'proposed again', revision: null });
    await fireEvent.click(button('Remove', await open('speech')));
    (await toast('proposed again')).action?.run();
    await waitFor(() => expect(asked('services.accept')).toEqual([{ id: 'speech' }]));
  });
});

describe('models', () => {
  it('are loaded with progress, and what it did to VRAM is said', async () => {
    const panel = await open('speech');
    await fireEvent.click(button('Load small', panel));
    expect(asked('services.load')).toEqual([{ id: 'speech', model: 'small' }]);
    const bar = await within(panel).findByRole('progressbar', { name: 'Loading small' });
    job({ share: 0.4, message: 'reads' });
    await waitFor(() => expect(bar.getAttribute('aria-valuenow')).toBe('40'));
    // One at a time: the other one waits, and says why.
    const other = button(/^Unload large/, panel);
    expect(other.getAttribute('aria-disabled')).toBe('true');
    expect(other.title).toContain('on its way');
    await fireEvent.click(other);
    expect(asked('services.unload')).toEqual([]);
    job({ state: 'done', share: 1, message: 'small is loaded: VRAM 3.0 → 4.1 GiB' });
    await toast('VRAM 3.0 → 4.1 GiB');
    expect(within(panel).queryByRole('progressbar')).toBeNull();
  });

  it('the loading is given up by its button', async () => {
    const panel = await open('speech');
    await fireEvent.click(button('Load small', panel));
    await fireEvent.click(await within(panel).findByRole('button', { name: 'Cancel: small' }));
    expect(asked('jobs.cancel')).toEqual([{ job: 5 }]);
    job({ state: 'cancelled' });
    await waitFor(() => expect(button('Load small', panel)).toBeTruthy());
  });

  it('what failed is said at its row until it was read, and never as a toast', async () => {
    const panel = await open('speech');
    // The news is there before the number of its job.
    fake.handlers['services.unload'] = () => {
      job({ job: 6, state: 'failed', message: 'The server answered 500.' });
      return { job: 6 };
    };
    await fireEvent.click(button(/^Unload large/, panel));
    const alert = await within(panel).findByRole('alert');
    expect(alert.textContent).toContain('The server answered 500.');
    expect(toasts.list).toEqual([]);
    await fireEvent.click(button('Close', alert));
    expect(within(panel).queryByRole('alert')).toBeNull();
  });
});

describe('one that Plimsoll starts', () => {
  it('asks before it cuts off what it works on, and Esc leaves it', async () => {
    const panel = await open('ours');
    await fireEvent.click(button('Stop', panel));
    const ask = within(panel).getByRole('alertdialog', { name: 'Stop ours?' });
    expect(ask.textContent).toContain('3 requests that it works on');
    expect(asked('services.stop')).toEqual([]);
    await fireEvent.keyDown(ask, { key: 'Escape' });
    expect(within(panel).queryByRole('alertdialog')).toBeNull();
    await fireEvent.click(button('Stop', panel));
    await fireEvent.click(button('Stop it', panel));
    expect(asked('services.stop')).toEqual([{ id: 'ours' }]);
    expect((await toast('stopping')).action?.label).toBe('Start again');
  });

  it('is stopped before it is removed, which is asked as well', async () => {
    const panel = await open('ours');
    await fireEvent.click(button('Remove', panel));
    expect(asked('services.remove')).toEqual([]);
    await fireEvent.click(button('Stop and remove it', panel));
    expect(asked('services.remove')).toEqual([{ id: 'ours', by: 'window' }]);
  });

  it('is started where it stands still, which is no fault', async () => {
    list[2] = { ...list[2]!, state: 'down', run: run({ state: 'stopped', pid: null }) };
    const panel = await open('ours');
    expect(within(panel).queryByText('down')).toBeNull();
    expect(panel.querySelector('.c-danger')).toBeNull();
    await fireEvent.click(button('Start', panel));
    expect(asked('services.start')).toEqual([{ id: 'ours' }]);
  });

  it('shows what it writes beside it, and leads to its launch settings', async () => {
    const panel = await open('ours');
    const link = within(panel).getByRole('link', { name: 'Launch settings' });
    expect(link.getAttribute('href')).toBe('#/settings?find=services.ours.');
    await fireEvent.click(button('Output', panel));
    const output = await screen.findByRole('region', { name: 'Output of ours' });
    expect((await within(output).findByRole('log')).textContent).toContain('listening');
    expect(asked('services.output')[0]).toEqual({ id: 'ours', lines: 500 });
    await fireEvent.keyDown(output, { key: 'Escape' });
    expect(screen.queryByRole('region', { name: 'Output of ours' })).toBeNull();
  });
});
