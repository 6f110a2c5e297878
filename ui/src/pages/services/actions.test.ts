// What was found, nothing at all, and a new one: what Plimsoll is asked for by what a person does.

import { fireEvent, render, screen, waitFor, within } from '@testing-library/svelte';
import { describe, expect, it } from 'vitest';

import type { Service } from '../../lib/bindings';
import { CallError } from '../../lib/host';
import { session } from '../../lib/state/session.svelte';
import { asked, button, config, detail, toast, world } from './page.testing';
import Services from './Services.svelte';

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
    world.fake.handlers['services.accept'] = () => {
      throw new CallError({ code: 'conflict', message: 'There are 100 services already.', hint: null });
    };
    render(Services);
    await screen.findByRole('grid');
    await fireEvent.click(button('Add ollama, Ollama on :11434'));
    expect((await screen.findByRole('alert')).textContent).toContain('100 services');
  });

  it('says which settings belong to nobody, with the way to them', async () => {
    world.known.unclaimed = ['nobody'];
    render(Services);
    expect((await screen.findByText('services.nobody')).parentElement?.textContent).toContain(
      'in force nowhere',
    );
    const link = screen.getByRole('link', { name: 'See them' });
    expect(link.getAttribute('href')).toBe('#/settings?find=services.nobody.');
  });

  it('says why containers are not seen, and that nothing is looked for, with the way to the setting', async () => {
    world.known.docker = 'The socket of Docker may not be read.';
    render(Services);
    expect(await screen.findByText('The socket of Docker may not be read.')).toBeTruthy();
    session.config = config({ 'services.discover': false });
    const link = await screen.findByRole('link', { name: 'Look for them' });
    expect(link.getAttribute('href')).toBe('#/settings?key=services.discover');
  });
});

describe('nothing is watched', () => {
  it('says what is looked for, and offers the form', async () => {
    world.list = [];
    render(Services);
    expect(await screen.findByText('No service was found yet')).toBeTruthy();
    await fireEvent.click(button('Add by address'));
    expect(await screen.findByRole('region', { name: 'Add a service' })).toBeTruthy();
  });

  it('says that it has not looked yet, and what is off', async () => {
    world.list = [];
    world.known.looked_ms = null;
    render(Services);
    expect(await screen.findByText('Looking for services')).toBeTruthy();
    session.config = config({ 'services.discover': false });
    expect(await screen.findByRole('link', { name: 'Look for services' })).toBeTruthy();
  });

  it('stands in its frame before the first answer', async () => {
    let answer: (list: Service[]) => void = () => undefined;
    world.fake.handlers.services = () => new Promise((answered) => (answer = answered));
    render(Services);
    expect(screen.getByLabelText('The services are asked for')).toBeTruthy();
    expect(button('Add a service').disabled).toBe(true);
    await waitFor(() => expect(asked('services')).toHaveLength(1));
    answer(world.list);
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
    await type('Certificates', '/house.pem');
    await fireEvent.click(button('Test connection', panel));
    expect(asked('services.test')).toEqual([
      { target: 'http://127.0.0.1:11434', kind: 'auto', key_file: '/k', ca_file: '/house.pem' },
    ]);
    expect(await within(panel).findByText(/Ollama answers at/)).toBeTruthy();
    await fireEvent.submit(panel.querySelector('form')!);
    expect(asked('services.add')).toEqual([
      {
        id: null,
        url: 'http://127.0.0.1:11434',
        name: '',
        kind: '',
        key_file: '/k',
        ca_file: '/house.pem',
        by: 'window',
      },
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
    world.fake.handlers['services.add'] = () => {
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
