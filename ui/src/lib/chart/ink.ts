// The colours and fonts of a canvas: tokens, read from the page that stands.

import type { MarkKind } from '../bindings';
import type { LoadState } from './scale';

export interface Ink {
  text2: string;
  text3: string;
  surface: string;
  grid: string;
  lineStrong: string;
  mute: string;
  accent: string;
  warn: string;
  danger: string;
  info: string;
  load: Record<LoadState, string>;
  reserve: string;
  reserveAlpha: number;
  fontSmall: string;
  fontLabel: string;
  /** Colour of a token, e.g. `--s1`. */
  of(token: string): string;
}

/** Reads the tokens as they stand; asked for again when the theme changes. */
export function readInk(element: Element): Ink {
  const style = getComputedStyle(element);
  const of = (token: string) => style.getPropertyValue(token).trim() || '#888';
  const cache = new Map<string, string>();
  return {
    text2: of('--text-2'),
    text3: of('--text-3'),
    surface: of('--surface-1'),
    grid: of('--grid'),
    lineStrong: of('--line-strong'),
    mute: of('--s-mute'),
    accent: of('--accent'),
    warn: of('--warn'),
    danger: of('--danger'),
    info: of('--info'),
    load: { ok: of('--load'), near: of('--warn'), over: of('--danger') },
    reserve: of('--reserve'),
    reserveAlpha: Number(of('--reserve-alpha')) || 0.07,
    fontSmall: `10.5px ${of('--font-num')}`,
    fontLabel: `11px ${of('--font-ui')}`,
    of(token) {
      let color = cache.get(token);
      if (color === undefined) cache.set(token, (color = of(token)));
      return color;
    },
  };
}

export function markColor(ink: Ink, kind: MarkKind): string {
  switch (kind) {
    case 'change':
      return ink.accent;
    case 'alert':
      return ink.warn;
    case 'load_test':
    case 'history':
      return ink.info;
    case 'restart':
    case 'clock':
    case 'service':
      return ink.text3;
  }
}
