import { cleanup, render, screen, waitFor } from '@testing-library/svelte';
import { createRawSnippet, tick, type Component } from 'svelte';
import { afterEach, expect, it } from 'vitest';

import Lazy from './Lazy.svelte';
import { router } from './router.svelte';
import Part, { made } from './testing/Part.svelte';

afterEach(cleanup);

const props = (load: () => Promise<{ default: Component<{ name: string }> }>) => ({
  load: load as () => Promise<{ default: Component<Record<string, unknown>> }>,
  give: { name: 'a part' },
});

it('a part is made once, whatever it reads while it is made', async () => {
  render(
    Lazy,
    props(() => Promise.resolve({ default: Part })),
  );
  await screen.findByText('a part from the beginning, now nowhere');
  router.route = { ...router.route, query: new URLSearchParams('at=home') };
  await tick();
  await screen.findByText('a part from the beginning, now home');
  expect(made.times).toBe(1);
});

it('a part that cannot be loaded says so', async () => {
  const failed = createRawSnippet<[unknown]>((thrown) => ({
    render: () => `<b>failed: ${String(thrown())}</b>`,
  }));
  render(Lazy, { ...props(() => Promise.reject(new Error('gone'))), failed });
  await waitFor(() => expect(screen.getByText('failed: Error: gone')).toBeTruthy());
});
