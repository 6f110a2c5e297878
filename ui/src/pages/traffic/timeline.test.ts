import { expect, it } from 'vitest';

import { flying, row, T0 } from './testing';
import { lineAloud, lineOfLive, lineOfRow, scaleEnd, seconds, speedOf, ticksOf } from './timeline';

const kinds = (line: { parts: { kind: string }[] }) => line.parts.map((p) => p.kind);

it('the parts of an answered request follow one another and end where it ended', () => {
  const line = lineOfRow(row(0));
  expect(kinds(line)).toEqual(['wait', 'overhead', 'prefill', 'decode']);
  line.parts.slice(1).forEach((part, i) => expect(part.from).toBe(line.parts[i]?.to));
  expect(line.parts.at(-1)?.to).toBe(1300);
  expect(line.open).toBe(false);
});

it('a refused request has Plimsoll’s own time and nothing else', () => {
  const line = lineOfRow(row(0, { wait_us: 0, ttft_us: null, total_us: 400, overhead_us: 400, status: 429 }));
  expect(kinds(line)).toEqual(['overhead']);
});

it('what waits is all wait, what was sent and is silent is prefill, and both go on', () => {
  const queued = lineOfLive(flying(0, { phase: 'queued', ttft_us: null }), T0 + 900);
  expect(kinds(queued)).toEqual(['wait', 'overhead']);
  const sent = lineOfLive(flying(0, { phase: 'prefill', ttft_us: null }), T0 + 900);
  expect(kinds(sent)).toEqual(['overhead', 'prefill']);
  expect([queued.open, sent.open, sent.total]).toEqual([true, true, 900]);
});

it('times that contradict one another make no part of negative length', () => {
  const line = lineOfRow(row(0, { wait_us: 9_000_000, ttft_us: 100, total_us: 1000 }));
  for (const part of line.parts) expect(part.to).toBeGreaterThanOrEqual(part.from);
  expect(line.parts.at(-1)?.to).toBe(1);
});

it('the scale holds nine of ten lines, and keeps its length while that still fits', () => {
  expect(scaleEnd([1000, 2000, 3000, 4000, 6900, 7000, 7100, 7200, 7300, 300_000], null)).toBe(8000);
  expect(scaleEnd([3000, 3500], 8000)).toBe(8000);
  expect(scaleEnd([30], 8000)).toBe(40);
  expect(scaleEnd([], null)).toBe(8000);
});

it('ticks carry the unit once, at the end', () => {
  expect(ticksOf(8000).map((t) => t.label)).toEqual(['0', '2', '4', '6', '8 s']);
  expect(ticksOf(800).map((t) => t.label)).toEqual(['0', '200', '400', '600', '800 ms']);
  expect(ticksOf(480_000).at(-1)?.label).toBe('8 min');
});

it('a speed without a first token, or from one token, is not known', () => {
  expect(speedOf(55, 300, 1300)).toBeCloseTo(54);
  expect(speedOf(55, null, 1300)).toBeNull();
  expect(speedOf(1, 300, 1300)).toBeNull();
  expect(speedOf(null, 300, 1300)).toBeNull();
});

it('a line is said in words: its parts in order, and whether it goes on', () => {
  expect(lineAloud(lineOfRow(row(0)))).toBe('wait 0.10 s, prefill 0.20 s, decode 1.00 s');
  expect(lineAloud(lineOfLive(flying(0, { phase: 'queued', ttft_us: null }), T0 + 900))).toBe(
    'wait 0.90 s so far',
  );
});

it('seconds have three digits', () => {
  expect([3, 30, 6920, 12_440, 312_000].map(seconds)).toEqual(['0.003', '0.03', '6.92', '12.4', '312']);
});
