import { describe, expect, test } from 'vitest';

import type { Mark } from './bindings';
import { cluster, withMark } from './marks';

const mark = (more: Partial<Mark>): Mark => ({
  id: 0,
  at_ms: 1000,
  end_ms: null,
  kind: 'alert',
  subject: null,
  title: 'VRAM is short',
  detail: '',
  reference: 'alert:vram-free:',
  ...more,
});

describe('withMark', () => {
  test('an end takes the place of its beginning', () => {
    const list = withMark([mark({})], mark({ end_ms: 5000 }));
    expect(list).toHaveLength(1);
    expect(list[0]?.end_ms).toBe(5000);
  });

  test('the same alert at another time is another mark', () => {
    expect(withMark([mark({})], mark({ at_ms: 2000 }))).toHaveLength(2);
  });

  test('marks without a reference are kept apart until they are stored', () => {
    const restart = mark({ kind: 'restart', reference: null });
    expect(withMark([restart], restart)).toHaveLength(2);
    expect(withMark([mark({ id: 7, reference: null })], mark({ id: 7, reference: null }))).toHaveLength(1);
  });
});

describe('cluster', () => {
  test('marks closer than twelve pixels become one', () => {
    const clusters = cluster([mark({ at_ms: 30 }), mark({ at_ms: 0 }), mark({ at_ms: 8 })], (ms) => ms);
    expect(clusters.map((c) => [c.x, c.marks.length])).toEqual([
      [0, 2],
      [30, 1],
    ]);
  });
});
