import { cleanup, fireEvent, render, screen, waitFor } from '@testing-library/svelte';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

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

it('holds still under somebody who reads further down, and says how many are newer', async () => {
  vi.useFakeTimers({ shouldAdvanceTime: true });
  const first = await fake.handlers.log!({ level: 'info', contains: '', before_ms: null, limit: 200 });
  render(LogPage);
  const [line] = await screen.findAllByText('Sealed a chunk of ten minutes');
  await fireEvent.click(line!);
  const box = document.querySelector<HTMLElement>('.lines')!;
  box.scrollTop = 200;
  const fresh = { ...first[0]!, at_ms: first[0]!.at_ms + 1000, message: 'A new line' };
  fake.handlers.log = () => [fresh, ...first];
  await vi.advanceTimersByTimeAsync(3100);
  expect(screen.queryByText('A new line')).toBeNull();
  await fireEvent.click(screen.getByText('1 newer'));
  expect(await screen.findByText('A new line')).toBeTruthy();
  // The line that was open is still the one that is open.
  const open = document.querySelector('.line[aria-expanded="true"]');
  expect(open?.previousElementSibling?.textContent).toContain('A new line');
  vi.useRealTimers();
});
