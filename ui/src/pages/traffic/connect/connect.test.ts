import { fireEvent, render, screen, waitFor, within } from '@testing-library/svelte';
import { expect, it } from 'vitest';

import { CallError } from '../../../lib/host';
import { asked, button, region, world } from '../page.testing';
import Traffic from '../Traffic.svelte';

async function open() {
  render(Traffic);
  await fireEvent.click((await screen.findAllByRole('button', { name: 'Connect a program' }))[0]!);
  const panel = await region('Connect a program');
  await within(panel).findByLabelText('Address');
  return panel;
}
const lines = (panel: HTMLElement) => panel.querySelector('pre')?.textContent ?? '';

it('opens with its head in focus, and Esc gives the focus back', async () => {
  const panel = await open();
  expect(document.activeElement?.textContent).toBe('Connect a program');
  expect(document.activeElement?.tagName).toBe('H2');
  await fireEvent.keyDown(panel, { key: 'Escape' });
  await waitFor(() => expect(document.activeElement?.getAttribute('aria-keyshortcuts')).toBe('C'));
  expect(screen.queryByRole('region', { name: 'Connect a program' })).toBeNull();
});

it('the address of this machine and of containers stand there, with the option for docker', async () => {
  const panel = await open();
  expect(within(panel).getByLabelText<HTMLInputElement>('Address').value).toBe('http://127.0.0.1:1876/v1');
  expect(within(panel).getByLabelText<HTMLInputElement>('From a container').value).toContain(
    'host.docker.internal',
  );
  expect(panel.textContent).toContain('--add-host=host.docker.internal:host-gateway');
  await fireEvent.click(button('Listen there too', panel));
  await waitFor(() =>
    expect(asked('config.apply')).toMatchObject([
      { changes: [{ key: 'gateway.also', value: ['172.17.0.1:1876'] }] },
    ]),
  );
});

it('other machines are let in only after it is said what that opens', async () => {
  const panel = await open();
  await fireEvent.click(within(panel).getByRole('switch', { name: 'Other machines' }));
  expect(asked('config.apply')).toEqual([]);
  const ask = within(panel).getByRole('group', { name: 'Other machines' });
  expect(ask.textContent).toContain('without encryption');
  await fireEvent.click(button('Listen for other machines', ask));
  await waitFor(() =>
    expect(asked('config.apply')).toMatchObject([
      { changes: [{ key: 'gateway.address', value: '0.0.0.0:1876' }] },
    ]),
  );
});

it('a new key is shown this one time, stands in the lines, and is gone with the panel', async () => {
  let panel = await open();
  await fireEvent.click(within(panel).getByRole('radio', { name: 'New' }));
  await fireEvent.input(within(panel).getByLabelText('Name'), { target: { value: 'laptop' } });
  await fireEvent.change(within(panel).getByLabelText('Requests at once'), { target: { value: '2' } });
  await fireEvent.click(button('Make the key', panel));
  const shown = await within(panel).findByLabelText<HTMLInputElement>('Key');
  expect(shown.value).toBe('plm-New1-secret');
  expect(asked('keys.add')).toMatchObject([{ name: 'laptop', models: [], max_in_flight: 2 }]);
  expect(lines(panel)).toContain('plm-New1-secret');
  await fireEvent.keyDown(panel, { key: 'Escape' });
  await fireEvent.click((await screen.findAllByRole('button', { name: 'Connect a program' }))[0]!);
  panel = await region('Connect a program');
  await within(panel).findByLabelText('Address');
  expect(document.body.innerHTML).not.toContain('plm-New1-secret');
});

it('a name that is taken is said beside the form, and nothing typed is lost', async () => {
  world.fake.handlers['keys.add'] = () => {
    throw new CallError({ code: 'conflict', message: 'There is a key notebook already.', hint: null });
  };
  const panel = await open();
  await fireEvent.click(within(panel).getByRole('radio', { name: 'New' }));
  await fireEvent.input(within(panel).getByLabelText('Name'), { target: { value: 'notebook' } });
  await fireEvent.click(button('Make the key', panel));
  expect((await within(panel).findByRole('alert')).textContent).toContain('There is a key notebook already.');
  expect(within(panel).getByLabelText<HTMLInputElement>('Name').value).toBe('notebook');
});

it('programs are tabs for arrows; their lines carry the address and the model', async () => {
  const panel = await open();
  expect(lines(panel)).toContain('base_url="http://127.0.0.1:1876/v1"');
  expect(lines(panel)).toContain('model="qwen"');
  await fireEvent.keyDown(within(panel).getByRole('tab', { name: 'OpenAI SDK' }), { key: 'ArrowRight' });
  expect(within(panel).getByRole('tab', { name: 'curl' }).getAttribute('aria-selected')).toBe('true');
  expect(lines(panel)).toContain('curl http://127.0.0.1:1876/v1/chat/completions');
});

it('a test goes with the model and the key that are chosen, and shows its steps', async () => {
  const panel = await open();
  await fireEvent.click(button('Send a test request', panel));
  expect(await within(panel).findByText('Key accepted, client is notebook')).toBeTruthy();
  expect(within(panel).getByRole('img', { name: 'It took 1300 ms in all' })).toBeTruthy();
  expect(panel.textContent).toContain('“Hello!”');
  expect(asked('gateway.test')).toEqual([{ model: 'qwen', key: '' }]);
});

it('a key is revoked in two steps, and says that this is for good', async () => {
  render(Traffic);
  await fireEvent.click(await screen.findByRole('radio', { name: 'Keys' }));
  await fireEvent.click(await screen.findByRole('button', { name: 'Revoke the key of notebook' }));
  const ask = screen.getByRole('group', { name: 'Revoke the key of notebook' });
  expect(ask.textContent).toContain('cannot be taken back');
  expect(asked('keys.revoke')).toEqual([]);
  await fireEvent.click(button('Revoke it', ask));
  await waitFor(() => expect(asked('keys.revoke')).toEqual([{ id: 'Vk3r' }]));
  expect(await screen.findByText('No key was made yet')).toBeTruthy();
});

it('the limits of a key are changed in their place', async () => {
  render(Traffic);
  await fireEvent.click(await screen.findByRole('radio', { name: 'Keys' }));
  await fireEvent.click(await screen.findByRole('button', { name: 'Change the key of notebook' }));
  await fireEvent.change(screen.getByLabelText('Requests at once'), { target: { value: '5' } });
  await fireEvent.click(screen.getByRole('radio', { name: 'batch' }));
  await fireEvent.click(screen.getByRole('button', { name: 'Save' }));
  await waitFor(() =>
    expect(asked('keys.change')).toMatchObject([
      { id: 'Vk3r', spec: { max_in_flight: 5, priority: 'batch' } },
    ]),
  );
});
