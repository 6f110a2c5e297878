import { readFileSync } from 'node:fs';

import { expect, it } from 'vitest';

const css = readFileSync('src/styles/tokens.css', 'utf8');

/** Declarations of the first block after a selector. */
function block(selector: string): string[] {
  const start = css.indexOf(selector);
  expect(start, selector).toBeGreaterThan(-1);
  const open = css.indexOf('{', start + selector.length - 1);
  const close = css.indexOf('}', open);
  return css
    .slice(open + 1, close)
    .split(';')
    .map((line) => line.trim())
    .filter(Boolean);
}

it('the system’s light theme is the chosen light theme, word for word', () => {
  const chosen = block(':root[data-theme="light"] {');
  expect(chosen.length).toBeGreaterThan(40);
  expect(block(':root:not([data-theme]) {')).toEqual(chosen);
});

type Rgb = [number, number, number];

/** Colours of a theme that are written as `#rrggbb`; names of others are followed. */
function colours(selector: string, under: Map<string, string> = new Map()): Map<string, string> {
  const found = new Map(under);
  for (const line of block(selector)) {
    const match = /(--[\w-]+):\s*([^;]+)$/.exec(line.replace(/\/\*[^]*?\*\//g, ''));
    if (match?.[1] && match[2]) found.set(match[1].slice(2), match[2].trim());
  }
  return found;
}

function rgb(theme: Map<string, string>, name: string): Rgb {
  const value = theme.get(name) ?? '';
  const other = /^var\(--([\w-]+)\)$/.exec(value)?.[1];
  if (other) return rgb(theme, other);
  expect(value, name).toMatch(/^#[0-9a-f]{6}$/);
  return [1, 3, 5].map((at) => parseInt(value.slice(at, at + 2), 16)) as Rgb;
}

/** WCAG 2.2: relative luminance, and the ratio of two. */
function contrast(a: Rgb, b: Rgb): number {
  const light = (colour: Rgb) => {
    const [r, g, bl] = colour.map((c) => {
      const part = c / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    }) as Rgb;
    return 0.2126 * r + 0.7152 * g + 0.0722 * bl;
  };
  const [hi, lo] = [light(a), light(b)].sort((x, y) => y - x) as [number, number];
  return (hi + 0.05) / (lo + 0.05);
}

const SURFACES = ['bg', 'surface-1', 'surface-2', 'surface-3', 'overlay'];
const DIM = ['ok-dim', 'warn-dim', 'danger-dim', 'info-dim', 'accent-dim'];
/** What is written on what. */
const TEXT: [string, string[]][] = [
  ['text-1', [...SURFACES, ...DIM]],
  ['text-2', [...SURFACES, ...DIM]],
  ['text-3', [...SURFACES, 'info-dim', 'danger-dim']],
  ['accent', [...SURFACES, 'accent-dim', 'danger-dim', 'warn-dim']],
  ['accent-hover', SURFACES],
  ['ok', SURFACES],
  ['warn', SURFACES],
  ['danger', SURFACES],
  ['info', [...SURFACES, 'info-dim']],
  ['text-on-accent', ['accent', 'accent-hover']],
  ['on-s1', ['s1']],
  ['on-s2', ['s2']],
  ['on-s3', ['s3']],
  ['on-mute', ['s-mute']],
];

const dark = colours(':root {');
it.each([
  ['dark', dark],
  ['light', colours(':root[data-theme="light"] {', dark)],
])('every text of the %s theme stands out from what it is written on by 4.5 to 1', (_, theme) => {
  const weak = TEXT.flatMap(([text, grounds]) =>
    grounds.map((ground) => [text, ground, contrast(rgb(theme, text), rgb(theme, ground))] as const),
  ).filter(([, , ratio]) => ratio < 4.5);
  expect(weak.map(([text, ground, ratio]) => `${text} on ${ground}: ${ratio.toFixed(2)}`)).toEqual([]);
});

it.each([
  ['dark', dark],
  ['light', colours(':root[data-theme="light"] {', dark)],
])('marks, focus and controls of the %s theme are seen: 3 to 1', (_, theme) => {
  const weak = ['accent', 'ok', 'warn', 'danger', 'info', 'load', 's-mute']
    .flatMap((name) => ['bg', 'surface-1'].map((on) => [name, on] as const))
    .map(([name, on]) => [name, on, contrast(rgb(theme, name), rgb(theme, on))] as const)
    .filter(([, , ratio]) => ratio < 3);
  expect(weak).toEqual([]);
});
