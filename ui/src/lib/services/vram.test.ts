import { expect, it } from 'vitest';

import type { Service } from '../bindings';
import { model, some, split } from './testing';
import { basisWords, partsOf, shareWords, vramOf } from './vram';

const holder = (vram_bytes: number | null): Service['holder'] => ({
  pids: [1],
  name: 'x',
  container: null,
  started_ms: 0,
  cpu_percent: null,
  rss_bytes: 1,
  vram_bytes,
});

it('the parts that a server lets be known come before everything else', () => {
  const service = some('x', { vram: split(15.5, 8.4, 6), holder: holder(1) });
  const names = partsOf(vramOf(service)!).map((part) => part.name);
  expect(names).toEqual(['weights', 'KV cache', 'other']);
  expect(basisWords(service)).toBe('whole measured, parts told by the server');
  expect(basisWords({ vram: split(2, 1, null, 'assumed'), holder: null })).toContain('assumed');
});

it('without them it is that of its processes, and its models are a part of it', () => {
  const models = [model('a', { vram_bytes: 8 })];
  expect(vramOf(some('x', { models, holder: holder(15) }))).toEqual({
    total: 15,
    weights: 8,
    kv: 0,
    rest: 7,
  });
  expect(vramOf(some('x', { models }))).toEqual({ total: 8, weights: 8, kv: 0, rest: 0 });
  expect(vramOf(some('x', { holder: holder(null) }))).toBeNull();
  expect(vramOf(some('x'))).toBeNull();
});

it('what is not known apart has no part that says more', () => {
  const service = some('x', { vram: split(3, null, null) });
  expect(partsOf(vramOf(service)!)).toMatchObject([{ name: 'not known apart' }]);
  expect(basisWords(service)).toBe('measured, not known apart');
  expect(basisWords(some('x', { vram: split(3, 0, null, 'assumed') }))).toBe('measured, not known apart');
});

it('a model that fell to the CPU is told, a whisker below whole is whole', () => {
  expect(shareWords({ gpu_share: 0.36 })).toEqual({ text: '36 %', fallen: true });
  expect(shareWords({ gpu_share: 0.999 })).toEqual({ text: '100 %', fallen: false });
  expect(shareWords({ gpu_share: null })).toBeNull();
});
