import { fireEvent, render, screen } from '@testing-library/svelte';
import { expect, it } from 'vitest';

import SideList, { type SidePart } from './SideList.svelte';

const parts: SidePart[] = [
  {
    entries: [
      { id: 'staged', title: 'Staged', href: '#/limits/staged', count: 2, staged: 2 },
      { id: 'all', title: 'All limits', href: '#/limits/all', count: 40 },
    ],
  },
  {
    heading: 'By what they limit',
    entries: [{ id: 'memory', title: 'Memory', href: '#/limits/memory', count: 5, staged: 1 }],
  },
  { heading: 'Revisions', entries: [], empty: 'None yet.' },
];
const link = (name: RegExp) => screen.getByRole('link', { name });

it('names the place that is open, how many are there, and how many of them are staged', () => {
  render(SideList, { label: 'Places', at: 'all', parts });
  expect(link(/All limits/).getAttribute('aria-current')).toBe('page');
  expect(screen.getAllByRole('link', { current: 'page' })).toHaveLength(1);
  expect(link(/All limits/).textContent).toContain('40');
  expect(screen.getByLabelText('2 staged').textContent).toBe('2');
  expect(screen.getByLabelText('1 of 5 staged').textContent).toBe('1');
  expect(screen.getByText('None yet.')).toBeTruthy();
});

it('arrows, Home and End go through its places, and stop at both ends', async () => {
  render(SideList, { label: 'Places', at: null, parts });
  expect(screen.queryByRole('link', { current: 'page' })).toBeNull();
  const list = screen.getByRole('navigation', { name: 'Places' });
  link(/Staged/).focus();
  for (const [key, to] of [
    ['ArrowUp', /Staged/],
    ['ArrowDown', /All limits/],
    ['End', /Memory/],
    ['ArrowDown', /Memory/],
    ['ArrowUp', /All limits/],
    ['Home', /Staged/],
  ] as const) {
    await fireEvent.keyDown(list, { key });
    expect(document.activeElement).toBe(link(to));
  }
});
