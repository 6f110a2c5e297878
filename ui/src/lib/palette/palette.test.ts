import { cleanup, fireEvent, render, screen, waitFor } from '@testing-library/svelte';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { useHost } from '../host';
import { fakeHost } from '../host/fake';
import { range } from '../state/range.svelte';
import Palette from './Palette.svelte';

beforeEach(() => {
  Element.prototype.scrollIntoView = () => undefined;
  useHost(
    fakeHost({
      series: () => [
        {
          key: { metric: 'gpu.vram.used', subject: 'GPU-1' },
          label: 'VRAM used',
          subject_kind: 'gpu',
          kind: 'gauge',
          unit: 'bytes',
          cadence_ms: 1000,
          last_ms: 1,
          last: 2 ** 30,
        },
      ],
    }),
  );
});
afterEach(() => {
  cleanup();
  range.goLive();
});

const field = () => screen.getByRole('combobox');
const chosen = () =>
  screen.getAllByRole('option').find((o) => o.getAttribute('aria-selected') === 'true')?.textContent ?? '';

it('runs what is chosen with the keyboard alone', async () => {
  const onclose = vi.fn();
  render(Palette, { onclose });
  await fireEvent.input(field(), { target: { value: 'stop pict' } });
  expect(chosen()).toContain('Stop the picture');
  expect(field().getAttribute('aria-activedescendant')).toBe('palette-0');
  await fireEvent.keyDown(field(), { key: 'Enter' });
  expect(range.live).toBe(false);
  expect(onclose).toHaveBeenCalled();
});

it('goes round with the arrows and begins anew with every letter', async () => {
  render(Palette, { onclose: () => undefined });
  await fireEvent.input(field(), { target: { value: 'theme' } });
  const first = chosen();
  await fireEvent.keyDown(field(), { key: 'ArrowUp' });
  expect(chosen()).not.toBe(first);
  await fireEvent.keyDown(field(), { key: 'ArrowDown' });
  expect(chosen()).toBe(first);
  await fireEvent.keyDown(field(), { key: 'ArrowDown' });
  await fireEvent.input(field(), { target: { value: 'themed' } });
  await fireEvent.input(field(), { target: { value: 'theme' } });
  expect(chosen()).toBe(first);
});

it('works without the parts that do not answer, and says which are missing', async () => {
  render(Palette, { onclose: () => undefined });
  expect(await screen.findByText(/metrics and processes are missing/)).toBeTruthy();
  await fireEvent.input(field(), { target: { value: 'vram' } });
  await waitFor(() => expect(chosen()).toContain('VRAM used'));
  await fireEvent.input(field(), { target: { value: 'qqqq' } });
  expect(screen.getByText(/Nothing fits/)).toBeTruthy();
});
