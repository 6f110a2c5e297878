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
