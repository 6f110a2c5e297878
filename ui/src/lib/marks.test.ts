import { describe, expect, test } from 'vitest';

import type { Mark } from './bindings';
import { cluster, merged, withMark } from './marks';

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

describe('merged', () => {
  const of = (kind: Mark['kind'], at_s: number, title: string, subject = 'chat') =>
    mark({ kind, subject, title, at_ms: at_s * 1000, reference: `service:${subject}` });
  const told = (marks: Mark[]) => merged(marks).map((row) => row.title);

  test('one crash loop is one line, between what else happened', () => {
    const loop = Array.from({ length: 12 }, (_, i) => [
      of('service', 30 * i, 'chat is down: refused'),
      of('restart', 30 * i + 5, 'chat started again'),
      of('service', 30 * i + 6, 'chat is starting: Loading model'),
    ]).flat();
    const other = of('service', 100, 'notes is healthy', 'notes');
    const rows = merged([...loop, other]);
    expect(rows.map((row) => row.title)).toEqual(['chat started again, 12 times', 'notes is healthy']);
    expect([rows[0]?.mark.at_ms, rows[0]?.from]).toEqual([336_000, 0]);
  });

  test('a few, and what lies far apart, stand for themselves, newest first', () => {
    expect(told([1, 2, 3].map((s) => of('restart', s, `again ${s}`)))).toEqual([
      'again 3',
      'again 2',
      'again 1',
    ]);
    expect(told([0, 4000, 8000, 12_000].map((s) => of('restart', s, 'again')))).toHaveLength(4);
  });

  test('changes of a service that never came up end with the last, and the same sentence is counted', () => {
    const ill = ['is down', 'is degraded', 'is down', 'is degraded'].map((t, i) => of('service', i, t));
    expect(told(ill)).toEqual(['is degraded, the last of 4']);
    const same = [1, 2, 3, 4].map((s) => mark({ at_ms: s * 1000, reference: null }));
    expect(told(same)).toEqual(['VRAM is short, 4 times']);
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
