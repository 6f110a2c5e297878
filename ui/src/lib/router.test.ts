import { expect, it } from 'vitest';

import { href, parse } from './router.svelte';

it('a hash names a page, its part and its questions', () => {
  const route = parse('#/settings/alerts?key=gpu.nvml_path');
  expect(route.page).toBe('settings');
  expect(route.rest).toEqual(['alerts']);
  expect(route.query.get('key')).toBe('gpu.nvml_path');
});

it('an unknown or broken hash is the Overview', () => {
  for (const hash of ['', '#', '#/', '#/reports', '#/%E0%A4%A']) expect(parse(hash).page).toBe('overview');
});

it('what is written is read back', () => {
  const route = parse(href('explore', '?series=mount.used&subject=%2Fhome'));
  expect(route.query.get('subject')).toBe('/home');
  expect(parse(href('settings', 'a/b')).rest).toEqual(['a/b']);
});
