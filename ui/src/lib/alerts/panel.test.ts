import { cleanup, fireEvent, render, screen, waitFor } from '@testing-library/svelte';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import type { Alert } from '../bindings';
import { CallError, useHost } from '../host';
import { fakeHost, type FakeHost } from '../host/fake';
import { session } from '../state/session.svelte';
import AlertsPanel from './AlertsPanel.svelte';

let fake: FakeHost;
const alert: Alert = {
  row: {
    id: 'disk-space:/home:1',
    rule: 'disk-space',
    subject: '/home',
    severity: 'warning',
    title: '/home has 3.2 GiB left',
    start_ms: 1,
    end_ms: null,
    peak: 8,
    threshold: 10,
  },
  value: 9,
  unit: 'percent',
  advice: 'Delete what you do not need.',
  acknowledged_ms: null,
  snoozed_until_ms: null,
};

beforeEach(() => {
  fake = fakeHost({
    'alerts.acknowledge': () => ({ message: '' }),
    'alerts.snooze': () => ({ message: '' }),
  });
  useHost(fake);
  session.alerts = [alert];
});
afterEach(() => {
  cleanup();
  session.alerts = [];
});

it('says what holds, since when, how far, and what to do', () => {
  render(AlertsPanel, { onclose: () => undefined });
  const text = screen.getByRole('article').textContent ?? '';
  for (const part of [
    '/home has 3.2 GiB left',
    '9.0 %',
    'furthest 8.0 %, line 10 %',
    'Delete what you do not need.',
  ])
    expect(text).toContain(part);
});

it('acknowledges and silences by id, for as long as was chosen', async () => {
  render(AlertsPanel, { onclose: () => undefined });
  await fireEvent.click(screen.getByRole('button', { name: 'Seen' }));
  await fireEvent.click(screen.getByRole('button', { name: 'Silence…' }));
  await waitFor(() =>
    expect(screen.getByRole<HTMLButtonElement>('button', { name: '8 h' }).disabled).toBe(false),
  );
  await fireEvent.click(screen.getByRole('button', { name: '8 h' }));
  expect(
    fake.calls.filter((c) => c.command.startsWith('alerts.') && c.args && 'id' in (c.args as object)),
  ).toEqual([
    { command: 'alerts.acknowledge', args: { id: alert.row.id } },
    { command: 'alerts.snooze', args: { id: alert.row.id, minutes: 480 } },
  ]);
});

it('says why it could not, and keeps the alert', async () => {
  fake.handlers['alerts.acknowledge'] = () => {
    throw new CallError({ code: 'unavailable', message: 'Plimsoll is stopping.', hint: null });
  };
  render(AlertsPanel, { onclose: () => undefined });
  await fireEvent.click(screen.getByRole('button', { name: 'Seen' }));
  expect((await screen.findByRole('alert')).textContent).toContain('Plimsoll is stopping.');
  expect(screen.getByRole('article')).toBeTruthy();
});

it('is left with Escape, one step at a time', async () => {
  const onclose = vi.fn();
  render(AlertsPanel, { onclose });
  await fireEvent.click(screen.getByRole('button', { name: 'Silence…' }));
  await fireEvent.keyDown(window, { key: 'Escape' });
  expect(onclose).not.toHaveBeenCalled();
  await fireEvent.keyDown(window, { key: 'Escape' });
  expect(onclose).toHaveBeenCalledOnce();
});

it('empty says that somebody watches', () => {
  session.alerts = [];
  render(AlertsPanel, { onclose: () => undefined });
  expect(screen.getByText('All is within its lines')).toBeTruthy();
});

it('leads to the service that it is about, and to no page where there is none', () => {
  const row = { ...alert.row, id: 'service-down:vllm:1', rule: 'service-down', subject: 'vllm' };
  session.alerts = [{ ...alert, row }];
  const { unmount } = render(AlertsPanel, { onclose: () => undefined });
  expect(screen.getByRole('link', { name: 'Service' }).getAttribute('href')).toBe('#/services/vllm');
  unmount();
  session.alerts = [alert];
  render(AlertsPanel, { onclose: () => undefined });
  expect(screen.queryByRole('link', { name: 'Service' })).toBeNull();
});
