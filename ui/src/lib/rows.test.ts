import { expect, it } from 'vitest';

import { rowAt } from './rows';

it('keys lead to rows and never out of the list', () => {
  expect(rowAt('ArrowDown', 0, 3, 8)).toBe(1);
  expect(rowAt('ArrowDown', 2, 3, 8)).toBe(2);
  expect(rowAt('ArrowUp', 0, 3, 8)).toBe(0);
  // Nothing is chosen yet.
  expect(rowAt('ArrowDown', -1, 3, 8)).toBe(0);
  expect(rowAt('PageDown', 1, 30, 8)).toBe(9);
  expect(rowAt('PageUp', 1, 30, 8)).toBe(0);
  expect(rowAt('End', 1, 30, 8)).toBe(29);
  expect(rowAt('Home', 12, 30, 8)).toBe(0);
});

it('other keys, and rows that are not there, lead nowhere', () => {
  expect(rowAt('Enter', 1, 3, 8)).toBeNull();
  expect(rowAt('toString', 1, 3, 8)).toBeNull();
  expect(rowAt('ArrowDown', -1, 0, 8)).toBeNull();
});
