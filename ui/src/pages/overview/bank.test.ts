import { cleanup, fireEvent, render, screen } from '@testing-library/svelte';
import { flushSync } from 'svelte';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { Feed, Marks } from '../../lib/chart/feed.svelte';
import { useHost } from '../../lib/host';
import { fakeHost } from '../../lib/host/fake';
import Bank from './Bank.svelte';

beforeEach(() => {
  vi.useFakeTimers();
  useHost(fakeHost());
});
afterEach(() => {
  cleanup();
  vi.useRealTimers();
});

it('says how far the reading is, and lets go of it after a second', async () => {
  const feed = new Feed();
  render(Bank, { faces: [], feed, marks: new Marks(), noGpu: null, width: 0 });
  expect(screen.queryByRole('progressbar')).toBeNull();

  feed.progress = { done: 4, total: 12 };
  feed.slow = true;
  flushSync();
  expect(screen.getByRole('progressbar').getAttribute('aria-valuenow')).toBe('4');
  expect(screen.getByRole('status').textContent).toMatch(/^reading .+, 4 of 12/);
  expect(screen.queryByRole('button', { name: 'Cancel' })).toBeNull();

  await vi.advanceTimersByTimeAsync(700);
  await fireEvent.click(screen.getByRole('button', { name: 'Cancel' }));
  expect(feed.slow).toBe(false);
  flushSync();
  expect(screen.queryByRole('progressbar')).toBeNull();
  expect(screen.queryByRole('button', { name: 'Cancel' })).toBeNull();
});
