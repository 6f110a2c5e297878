// The keyboard map. Letters mean a button of the page (`aria-keyshortcuts`), so
// that a key can do nothing that a pointer cannot.

import type { PageId } from './router.svelte';

export type KeyAction =
  | { do: 'page'; page: PageId }
  | { do: 'palette' }
  | { do: 'help' }
  | { do: 'live' }
  | { do: 'shorter' }
  | { do: 'longer' }
  | { do: 'zoom'; factor: number }
  | { do: 'cursor'; pixels: number }
  | { do: 'back' }
  | { do: 'press'; key: string };

export interface KeyPress {
  key: string;
  ctrlKey: boolean;
  metaKey: boolean;
  altKey: boolean;
  shiftKey: boolean;
}

const PAGE_KEYS: Record<string, PageId> = {
  '1': 'overview',
  '2': 'explore',
  '3': 'processes',
  '4': 'services',
  '5': 'traffic',
  '6': 'limits',
};

/** What a key means. `typing`: the focus is in a text field; `onControl`: on something that uses Space and arrows itself. */
export function actionOf(press: KeyPress, typing: boolean, onControl: boolean): KeyAction | null {
  const command = press.ctrlKey || press.metaKey;
  if (command && !press.altKey) {
    if (press.key.toLowerCase() === 'k') return { do: 'palette' };
    if (press.key === ',') return { do: 'page', page: 'settings' };
    return null;
  }
  if (press.altKey || typing) return null;
  const page = PAGE_KEYS[press.key];
  if (page) return { do: 'page', page };
  switch (press.key) {
    case '?':
      return { do: 'help' };
    case '[':
      return { do: 'shorter' };
    case ']':
      return { do: 'longer' };
    case '+':
    case '=':
      return { do: 'zoom', factor: 0.5 };
    case '-':
      return { do: 'zoom', factor: 2 };
    case 'Escape':
      return { do: 'back' };
    case '/':
      return { do: 'press', key: '/' };
    case ' ':
      return onControl ? null : { do: 'live' };
    case 'ArrowLeft':
      return onControl ? null : { do: 'cursor', pixels: press.shiftKey ? -10 : -1 };
    case 'ArrowRight':
      return onControl ? null : { do: 'cursor', pixels: press.shiftKey ? 10 : 1 };
  }
  if (/^[a-z]$/i.test(press.key) && !press.shiftKey) return { do: 'press', key: press.key.toUpperCase() };
  return null;
}

/** Whether an element takes text. */
export function takesText(element: Element | null): boolean {
  if (!(element instanceof HTMLElement)) return false;
  if (element.isContentEditable || element instanceof HTMLTextAreaElement) return true;
  if (element instanceof HTMLSelectElement) return true;
  return (
    element instanceof HTMLInputElement && !['checkbox', 'radio', 'button', 'range'].includes(element.type)
  );
}

/** Whether an element uses Space or the arrows itself. */
export function usesArrows(element: Element | null): boolean {
  return (
    element !== null &&
    element !== document.body &&
    element.closest(
      'button, a, input, summary, [role="slider"], [role="radio"], [role="option"], [role="tree"], [role="treegrid"], [role="row"], [role="listbox"], [role="tab"], [role="menu"], [role="dialog"]',
    ) !== null
  );
}

/** For the list that `?` opens. */
export const KEY_LIST: [keys: string, meaning: string][] = [
  ['1', 'Overview'],
  ['2', 'Explore'],
  ['3', 'Processes'],
  ['4', 'Services'],
  ['5', 'Traffic'],
  ['6', 'Limits'],
  ['Ctrl ,', 'Settings'],
  ['Ctrl K', 'Go to or run'],
  ['Space', 'Live or paused'],
  ['[  ]', 'Shorter, longer range'],
  ['+  −', 'Zoom in, out'],
  ['Esc', 'Back from a zoom, close what is open'],
  ['←  →', 'Crosshair by one pixel, with Shift by ten'],
  ['/', 'Find in the page'],
  ['↑  ↓', 'Rows; Enter opens one'],
  ['PgUp PgDn', 'On a slider: the next preset; Home and End its ends, Del back to today'],
  ['E', 'Export what is shown'],
  ['A', 'Add a service'],
  ['C', 'Connect a program'],
  ['T', 'Test the connection to a service'],
  ['O', 'Output of a service that Plimsoll runs'],
  ['Ctrl Enter', 'Apply staged changes'],
  ['Ctrl Z', 'Undo the last apply'],
  ['Del', 'End a process, cancel a request (asks)'],
  ['?', 'This list'],
];
