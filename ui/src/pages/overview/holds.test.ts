import { expect, it } from 'vitest';

import type { Process } from '../../lib/bindings';
import { ramParts, roomFacts } from './holds';

const GIB = 2 ** 30;

function process(pid: number, rss: number): Process {
  return {
    pid,
    name: `p${pid}`,
    service: null,
    container: null,
    own: false,
    rss_bytes: rss,
  } as unknown as Process;
}

it('names six groups, adds the small ones up and gives the rest to the kernel', () => {
  const parts = ramParts(
    [9, 8, 7, 6, 5, 4, 2, 1].map((gib, i) => process(i + 1, gib * GIB)),
    50 * GIB,
  );
  expect(parts.map((p) => p.name)).toEqual([
    'p1',
    'p2',
    'p3',
    'p4',
    'p5',
    'p6',
    '2 more',
    'kernel and other',
  ]);
  expect(parts.map((p) => p.bytes / GIB)).toEqual([9, 8, 7, 6, 5, 4, 3, 8]);
});

it('says no rest where shared pages make the groups hold more than is used', () => {
  expect(ramParts([process(1, 4 * GIB)], 3 * GIB).map((p) => p.name)).toEqual(['p1']);
});

it('room is told up to the line, and beyond it by how much it is passed', () => {
  const below = roomFacts(20 * GIB, 24 * GIB, 22 * GIB, 'on the card');
  expect(below.map((f) => [f.name, f.value])).toEqual([
    ['Free to the line', '2.00 GiB'],
    ['Reserve above it', '2.00 GiB'],
  ]);
  const above = roomFacts(23 * GIB, 24 * GIB, 22 * GIB, 'on the card')[0];
  expect(above).toMatchObject({ name: 'Above the line', value: '1.00 GiB', over: true });
  expect(roomFacts(20 * GIB, 24 * GIB, null, '').map((f) => f.name)).toEqual(['Free']);
});
