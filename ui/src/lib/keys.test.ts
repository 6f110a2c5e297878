import { expect, it } from 'vitest';

import { actionOf, takesText, usesArrows, type KeyPress } from './keys';

const press = (key: string, more: Partial<KeyPress> = {}): KeyPress => ({
  key,
  ctrlKey: false,
  metaKey: false,
  altKey: false,
  shiftKey: false,
  ...more,
});
const plain = (key: string, more?: Partial<KeyPress>) => actionOf(press(key, more), false, false);

it('the map of the keyboard', () => {
  expect(plain('1')).toEqual({ do: 'page', page: 'overview' });
  expect(plain('3')).toEqual({ do: 'page', page: 'processes' });
  expect(plain('5')).toEqual({ do: 'page', page: 'traffic' });
  expect(plain('6')).toEqual({ do: 'page', page: 'limits' });
  expect(plain(',', { ctrlKey: true })).toEqual({ do: 'page', page: 'settings' });
  expect(plain('k', { ctrlKey: true })).toEqual({ do: 'palette' });
  expect(plain(' ')).toEqual({ do: 'live' });
  expect(plain('[')).toEqual({ do: 'shorter' });
  expect(plain(']')).toEqual({ do: 'longer' });
  expect(plain('ArrowLeft', { shiftKey: true })).toEqual({ do: 'cursor', pixels: -10 });
  expect(plain('+')).toEqual({ do: 'zoom', factor: 0.5 });
  expect(plain('Escape')).toEqual({ do: 'back' });
  expect(plain('?', { shiftKey: true })).toEqual({ do: 'help' });
  expect(plain('e')).toEqual({ do: 'press', key: 'E' });
});

it('a page that does not exist has no key', () => {
  expect(plain('8')).toBeNull();
});

it('typing is typing, except for what is commanded', () => {
  expect(actionOf(press('1'), true, true)).toBeNull();
  expect(actionOf(press('/'), true, true)).toBeNull();
  expect(actionOf(press('k', { ctrlKey: true }), true, true)).toEqual({ do: 'palette' });
});

it('a control that uses Space and arrows keeps them', () => {
  expect(actionOf(press(' '), false, true)).toBeNull();
  expect(actionOf(press('ArrowRight'), false, true)).toBeNull();
  expect(actionOf(press(']'), false, true)).toEqual({ do: 'longer' });
});

it('knows what takes text and what uses arrows', () => {
  document.body.innerHTML =
    '<input id="t"><input id="c" type="checkbox"><button id="b"><i id="i"></i></button><p id="p" tabindex="0"></p>';
  const at = (id: string) => document.getElementById(id);
  expect(takesText(at('t'))).toBe(true);
  expect(takesText(at('c'))).toBe(false);
  expect(usesArrows(at('i'))).toBe(true);
  expect(usesArrows(at('p'))).toBe(false);
  expect(usesArrows(document.body)).toBe(false);
});
