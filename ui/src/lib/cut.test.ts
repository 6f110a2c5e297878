import { render } from '@testing-library/svelte';
import { expect, it } from 'vitest';

import Cut from './Cut.svelte';

const parts = (text: string) => {
  const { container } = render(Cut, { text, tail: 6 });
  const cut = container.querySelector('span')!;
  return { whole: cut.textContent, title: cut.title, parts: [...cut.children].map((p) => p.textContent) };
};

it('a long name keeps its end, in which it differs from its like, and is read whole', () => {
  expect(parts('qwen2.5-32b-instruct-awq')).toEqual({
    whole: 'qwen2.5-32b-instruct-awq',
    title: 'qwen2.5-32b-instruct-awq',
    parts: ['qwen2.5-32b-instru', 'ct-awq'],
  });
  expect(parts('open-webui').parts).toEqual(['open-webui']);
});
