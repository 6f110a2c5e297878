// One service: what Plimsoll is asked for by what a person does with it.

import { fireEvent, render, screen, waitFor, within } from '@testing-library/svelte';
import { describe, expect, it } from 'vitest';

import { CallError } from '../../lib/host';
import { toasts } from '../../lib/state/toasts.svelte';
import { asked, button, detail, job, open, toast, world } from './page.testing';
import Services from './Services.svelte';
import { run, some } from '../../lib/services/testing';

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
    world.fake.handlers['config.apply'] = () => {
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

  it('its certificates are seen, tried and set; a file that is none is told at their field', async () => {
    const standing = 'Its file of certificates /old.pem cannot be used: No such file or directory.';
    const chat = world.list.find((s) => s.id === 'chat')!;
    chat.hints = [{ id: 'ca-file', level: 'warning', text: standing, advice: 'Nobody is believed.' }];
    await open('chat');
    await fireEvent.click(button('Edit'));
    const edit = await screen.findByRole('region', { name: 'Change chat' });
    const field = screen.getByLabelText<HTMLInputElement>('Certificates');
    const says = () => document.getElementById(field.getAttribute('aria-describedby')!)?.textContent;
    expect(says()).toBe(standing);
    world.fake.handlers['services.test'] = ({ ca_file }) => {
      const message = `Its file of certificates ${ca_file} cannot be used: it holds no certificate.`;
      throw new CallError({ code: 'invalid', message, hint: null });
    };
    await fireEvent.input(field, { target: { value: '/house.pem' } });
    expect(says()).toContain('whom this machine trusts');
    await fireEvent.click(button('Test connection', edit));
    await waitFor(() => expect(says()).toContain('/house.pem cannot be used: it holds no certificate'));
    expect(field.getAttribute('aria-invalid')).toBe('true');
    world.fake.handlers['config.apply'] = () => {
      const message = 'services.chat.ca_file: Its file of certificates /house.pem cannot be used.';
      throw new CallError({ code: 'invalid', message, hint: null });
    };
    await fireEvent.submit(edit.querySelector('form')!);
    await waitFor(() => expect(says()).toContain('services.chat.ca_file'));
    expect(asked('config.apply')).toEqual([
      {
        base: 'abc',
        changes: [{ key: 'services.chat.ca_file', value: '/house.pem' }],
        text: null,
        by: 'window',
      },
    ]);
  });

  it('that the settings do not name is neither changed nor removed', async () => {
    world.list.push(some('demo'));
    const panel = await open('demo');
    for (const name of ['Edit', 'Remove']) {
      expect(button(name, panel).disabled).toBe(true);
      expect(button(name, panel).title).toBe('It does not stand in the settings');
    }
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
    world.fake.handlers['services.remove'] = () => ({ message: 'proposed again', revision: null });
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
    world.fake.handlers['services.unload'] = () => {
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
    expect(ask.textContent).toContain('3 requests that it works on, those that came through Plimsoll may');
    expect(ask.textContent).toContain('for 30 s at most');
    expect(asked('services.stop')).toEqual([]);
    await fireEvent.keyDown(ask, { key: 'Escape' });
    expect(within(panel).queryByRole('alertdialog')).toBeNull();
    await fireEvent.click(button('Stop', panel));
    await fireEvent.click(button('Stop it', panel));
    expect(asked('services.stop')).toEqual([{ id: 'ours' }]);
    const title = 'Stop ours';
    job({ job: 7, title, share: null, message: 'Waits for 2 requests to end, at most 30 s.' });
    expect((await within(panel).findByRole('status')).textContent).toContain('Waits for 2 requests');
    expect(button('Stop', panel).disabled).toBe(true);
    job({ job: 7, title, share: 1, state: 'done', message: 'ours is stopped.' });
    expect((await toast('ours is stopped')).action?.label).toBe('Start again');
    expect(within(panel).queryByRole('status')).toBeNull();
  });

  it('goes on as it is where the wait for what it works on is cancelled', async () => {
    const panel = await open('ours');
    await fireEvent.click(button('Stop', panel));
    await fireEvent.click(button('Stop it', panel));
    const title = 'Stop ours';
    job({ job: 7, title, share: null, message: 'Waits for 2 requests to end, at most 30 s.' });
    await fireEvent.click(await within(panel).findByRole('button', { name: 'Cancel' }));
    expect(asked('jobs.cancel')).toEqual([{ job: 7 }]);
    job({ job: 7, title, share: null, state: 'cancelled', message: 'Cancelled.' });
    expect((await toast('Stop ours: cancelled')).action).toBeUndefined();
    await waitFor(() => expect(button('Stop', panel).disabled).toBe(false));
  });

  it('starts again by one job, which says why where it did not', async () => {
    const panel = await open('ours');
    await fireEvent.click(button('Restart', panel));
    expect(within(panel).getByRole('alertdialog', { name: 'Restart ours?' })).toBeTruthy();
    await fireEvent.click(button('Restart it', panel));
    const order = world.fake.calls.map((c) => c.command).filter((c) => /^services\.(re)?st/.test(c));
    expect(order).toEqual(['services.restart']);
    const message = 'ours did not start: It ended with code 1.';
    job({ job: 8, title: 'Restart ours', share: null, state: 'failed', message });
    const alert = await within(panel).findByRole('alert');
    expect(alert.textContent).toContain('It ended with code 1');
    await fireEvent.click(button('Close', alert));
    expect(within(panel).queryByRole('alert')).toBeNull();
  });

  it('that waits before it starts again is started now', async () => {
    world.list[2] = { ...world.list[2]!, state: 'down', run: run({ state: 'restarting', pid: null }) };
    const panel = await open('ours');
    await fireEvent.click(button('Start now', panel));
    expect(asked('services.start')).toEqual([{ id: 'ours' }]);
    expect(button('Stop', panel)).toBeTruthy();
  });

  it('asks the same where the palette asked for it', async () => {
    location.hash = '#/services/ours?do=stop';
    render(Services);
    expect(await screen.findByRole('alertdialog', { name: 'Stop ours?' })).toBeTruthy();
    expect(asked('services.stop')).toEqual([]);
  });

  it('is stopped before it is removed, which is asked as well', async () => {
    const panel = await open('ours');
    await fireEvent.click(button('Remove', panel));
    expect(asked('services.remove')).toEqual([]);
    await fireEvent.click(button('Stop and remove it', panel));
    expect(asked('services.stop')).toEqual([{ id: 'ours' }]);
    expect(asked('services.remove')).toEqual([]);
    job({ job: 7, title: 'Stop ours', share: 1, state: 'done', message: 'ours is stopped.' });
    await waitFor(() => expect(asked('services.remove')).toEqual([{ id: 'ours', by: 'window' }]));
  });

  it('is started where it stands still, which is no fault', async () => {
    world.list[2] = { ...world.list[2]!, state: 'down', run: run({ state: 'stopped', pid: null }) };
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

describe('one that was found', () => {
  it('comes into the settings under its own id when it is changed: its history goes on', async () => {
    const panel = await open('speech');
    await fireEvent.click(button('Edit', panel));
    const edit = await screen.findByRole('region', { name: 'Change speech' });
    expect(edit.textContent).toContain('comes into the settings');
    await fireEvent.input(screen.getByLabelText('Key file'), { target: { value: '/k' } });
    await fireEvent.submit(edit.querySelector('form')!);
    expect(asked('services.add')).toEqual([
      {
        id: 'speech',
        url: 'http://127.0.0.1:8080',
        name: '',
        kind: 'speaches',
        key_file: '/k',
        ca_file: '',
        by: 'window',
      },
    ]);
  });
});
