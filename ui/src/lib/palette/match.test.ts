import { describe, expect, it } from 'vitest';

import { rank, score } from './match';

const items = (...labels: string[]) => labels.map((label) => ({ label }));
const labels = (list: { label: string }[]) => list.map((i) => i.label);

describe('what fits', () => {
  it('needs every word, in any order', () => {
    expect(score('vram used', 'VRAM used')).not.toBeNull();
    expect(score('used vram', 'VRAM used')).not.toBeNull();
    expect(score('vram redis', 'VRAM used')).toBeNull();
  });

  it('is everything for an empty question', () => {
    expect(score('  ', 'anything')).toBe(0);
  });

  it('may leave letters out at the beginnings of words, but not strewn by chance', () => {
    expect(score('mtu', 'mount total used')).not.toBeNull();
    expect(score('hmm', 'history.max_mib')).not.toBeNull();
    expect(score('xz', 'Explore the zoo of metrics')).toBeNull();
    expect(score('tree', 'the order of every second')).toBeNull();
  });
});

describe('the order', () => {
  it('puts beginnings before middles, and the shorter of two alike first', () => {
    expect(labels(rank(items('Free VRAM', 'VRAM used by the desktop', 'VRAM used'), 'vram', 9))).toEqual([
      'VRAM used',
      'VRAM used by the desktop',
      'Free VRAM',
    ]);
  });

  it('puts a name before a mention, and keeps the order of equals', () => {
    const list = [{ label: 'Interval', words: 'theme' }, { label: 'Theme' }, { label: 'Themes' }];
    expect(labels(rank(list, 'theme', 9))).toEqual(['Theme', 'Themes', 'Interval']);
    expect(labels(rank(items('b', 'a'), '', 9))).toEqual(['b', 'a']);
  });

  it('is bounded', () => {
    expect(rank(items('a1', 'a2', 'a3'), 'a', 2)).toHaveLength(2);
  });
});
