import { expect, it } from 'vitest';

import { BLANK, type Typed } from './form';
import { linesOf } from './toml';

const typed = (name: string, more: Partial<Typed> = {}): Typed => ({
  ...BLANK,
  url: 'localhost:8080',
  name,
  ...more,
});
const head = (name: string) => linesOf(typed(name)).split('\n')[0];

it('what is typed becomes the lines that Plimsoll would read', () => {
  const lines = linesOf(typed('Big chat', { kind: 'vllm', key_file: '/k' }));
  expect(lines).toBe(
    '[services.big-chat]\nurl = "http://localhost:8080"\nkind = "vllm"\nname = "Big chat"\nkey_file = "/k"\n',
  );
});

it('an id has small letters, digits and single dashes, none at an end, and at most 32 of them', () => {
  expect(head(' Chat (GPU 0)! ')).toBe('[services.chat-gpu-0]');
  expect(head('???')).toBe('[services.my-service]');
  expect(head('a'.repeat(40))).toBe(`[services.${'a'.repeat(32)}]`);
  // What is cut may end in a dash.
  expect(head(`${'a'.repeat(31)} and more`)).toBe(`[services.${'a'.repeat(31)}]`);
});
