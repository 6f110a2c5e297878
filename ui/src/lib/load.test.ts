import { expect, it } from 'vitest';

import type { AlertRule } from './bindings';
import { lineOf } from './load';

const GIB = 2 ** 30;
const rule = (more: Partial<AlertRule>): AlertRule => ({
  id: 'x',
  sentence: '',
  severity: 'warning',
  enabled: true,
  unit: 'percent',
  metric: 'memory.used',
  threshold: 70,
  below: false,
  active: [],
  ...more,
});

it('a share of the whole becomes bytes on the chart', () => {
  expect(lineOf('memory.used', 'bytes', [rule({})], 64 * GIB)?.value).toBeCloseTo(44.8 * GIB);
});

it('the more severe rule is the line', () => {
  const line = lineOf('memory.used', 'bytes', [rule({}), rule({ id: 'act', threshold: 80, severity: 'critical' })], 100);
  expect(line?.rule.id).toBe('act');
  expect(line?.value).toBe(80);
});

it('a floor on what is free is a line for what is used', () => {
  const free = rule({ metric: 'gpu.vram.free', unit: 'bytes', threshold: GIB, below: true });
  expect(lineOf('gpu.vram.used', 'bytes', [free], 24 * GIB)).toMatchObject({ value: 23 * GIB, floor: false });
  expect(lineOf('gpu.vram.free', 'bytes', [free], 24 * GIB)).toMatchObject({ value: GIB, floor: true });
});

it('a tenth that must stay free is nine tenths of the disk', () => {
  const disk = rule({ metric: 'mount.available', threshold: 10, below: true });
  expect(lineOf('mount.used', 'bytes', [disk], 1000)?.value).toBe(900);
});

it('without the whole a share has no line, and a disabled rule has none', () => {
  expect(lineOf('memory.used', 'bytes', [rule({})], null)).toBeNull();
  expect(lineOf('memory.used', 'bytes', [rule({ enabled: false })], 100)).toBeNull();
  expect(lineOf('cpu.busy', 'percent', [rule({})], 100)).toBeNull();
});
