import { cleanup, fireEvent, render, screen, waitFor } from '@testing-library/svelte';
import { afterEach, beforeEach, expect, it } from 'vitest';

import type { LogRequest } from '../../lib/bindings';
import { useHost } from '../../lib/host';
import { fakeHost, type FakeHost } from '../../lib/host/fake';
import { settingsAnswers } from './fake';
import LogPage from './LogPage.svelte';

let fake: FakeHost;
beforeEach(() => {
  fake = fakeHost(settingsAnswers(Date.now()));
  useHost(fake);
});
afterEach(cleanup);
const asked = () => fake.calls.filter((c) => c.command === 'log').map((c) => c.args as LogRequest);

it('is asked for once for a choice, not over and over', async () => {
  render(LogPage);
  await screen.findAllByText('Sealed a chunk of ten minutes');
  await new Promise((done) => setTimeout(done, 300));
  expect(asked()).toHaveLength(1);
  await fireEvent.click(screen.getByText('warn', { selector: '.seg button' }));
  await waitFor(() => expect(asked()).toHaveLength(2));
  expect(asked()[1]?.level).toBe('warn');
});

it('pages back from the oldest line shown, and then follows no more', async () => {
  render(LogPage);
  await screen.findAllByText('Sealed a chunk of ten minutes');
  await fireEvent.click(screen.getByText('Older'));
  await waitFor(() => expect(asked()).toHaveLength(2));
  expect(asked()[1]?.before_ms).toBeLessThan(Date.now());
  expect(screen.getByText('Follow')).toBeTruthy();
});
