import { expect, it } from 'vitest';

import type { AlertRule, LoadLine } from './bindings';
import { lineOf } from './load';

const RAM = { metric: 'memory.used', subject: '' };
const line = (value: number, more: Partial<LoadLine> = {}): LoadLine => ({
  ...RAM,
  value,
  below: false,
  ...more,
});
const rule = (id: string, lines: LoadLine[], more: Partial<AlertRule> = {}): AlertRule => ({
  id,
  sentence: '',
  severity: 'warning',
  enabled: true,
  unit: 'percent',
  metric: 'memory.used',
  threshold: 70,
  below: false,
  active: [],
  lines,
  ...more,
});

it('the more severe rule is the line', () => {
  const rules = [rule('memory-warn', [line(70)]), rule('memory-act', [line(80)], { severity: 'critical' })];
  expect(lineOf(RAM, rules)).toMatchObject({ value: 80, floor: false });
  expect(lineOf(RAM, rules)?.rule.id).toBe('memory-act');
});

it('of equals the one that is reached first is the line', () => {
  expect(lineOf(RAM, [rule('a', [line(90)]), rule('b', [line(75)])])?.value).toBe(75);
  const floors = [rule('a', [line(10, { below: true })]), rule('b', [line(20, { below: true })])];
  expect(lineOf(RAM, floors)).toMatchObject({ value: 20, floor: true });
});

it('each subject has the line of its own height', () => {
  const mounts = [
    line(900, { metric: 'mount.used', subject: '/' }),
    line(3600, { metric: 'mount.used', subject: '/srv/models' }),
  ];
  expect(lineOf({ metric: 'mount.used', subject: '/srv/models' }, [rule('disk-space', mounts)])?.value).toBe(
    3600,
  );
  expect(lineOf({ metric: 'mount.used', subject: '/home' }, [rule('disk-space', mounts)])).toBeNull();
});

it('a disabled rule has no line', () => {
  expect(lineOf(RAM, [rule('a', [line(70)], { enabled: false })])).toBeNull();
});
