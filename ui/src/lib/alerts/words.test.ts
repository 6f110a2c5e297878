import { expect, it } from 'vitest';

import type { Alert, AlertRow, AlertRule } from '../bindings';
import { leadOf, order, reach, silence, times } from './words';

const NOW = new Date(2026, 10, 17, 14, 32).getTime();
const MINUTE = 60_000;
const alert = (id: string, row: Partial<AlertRow> = {}, more: Partial<Alert> = {}): Alert => ({
  row: {
    id,
    rule: 'r',
    subject: '',
    severity: 'warning',
    title: id,
    start_ms: NOW - 30 * MINUTE,
    end_ms: null,
    peak: null,
    threshold: null,
    ...row,
  },
  value: null,
  unit: null,
  advice: '',
  acknowledged_ms: null,
  snoozed_until_ms: null,
  ...more,
});
const ids = (list: Alert[]) => list.map((a) => a.row.id);

it('what nobody has seen stands first, then the worse, then the newer', () => {
  const { active, ended } = order(
    [
      alert('seen', { severity: 'critical' }, { acknowledged_ms: NOW }),
      alert('old'),
      alert('new', { start_ms: NOW }),
      alert('bad', { severity: 'critical', start_ms: 1 }),
      alert('silent', { start_ms: NOW }, { snoozed_until_ms: NOW + 1 }),
      alert('over', { end_ms: NOW - 5 }),
      alert('just-over', { end_ms: NOW - 1 }),
    ],
    NOW,
  );
  expect(ids(active)).toEqual(['bad', 'new', 'old', 'seen', 'silent']);
  expect(ids(ended)).toEqual(['just-over', 'over']);
});

it('a snooze that is over is none', () => {
  expect(silence(alert('a', {}, { snoozed_until_ms: NOW - 1 }), NOW)).toBeNull();
  expect(silence(alert('a', {}, { snoozed_until_ms: NOW + 60 * MINUTE }), NOW)).toBe(
    'silent until 15:32, 1 h more',
  );
  expect(silence(alert('a', {}, { acknowledged_ms: NOW - MINUTE }), NOW)).toBe('seen at 14:31');
});

it('says since when and how far, and never a number that is not known', () => {
  expect(times(alert('a').row, NOW)).toBe('since 14:02, 30 min');
  expect(times(alert('a', { end_ms: NOW - 26 * MINUTE }).row, NOW)).toBe('14:02, for 4 min');
  expect(reach(alert('a', { peak: 96, threshold: 90 }).row, 'percent')).toBe('furthest 96 %, line 90 %');
  expect(reach(alert('a').row, 'percent')).toBe('');
});

it('an alert about a service or its model leads to the service', () => {
  const rule = (id: string, metric: string | null): AlertRule => ({
    id,
    sentence: '',
    severity: 'warning',
    enabled: true,
    unit: null,
    metric,
    threshold: 1,
    below: false,
    active: [],
    lines: [],
  });
  const rules = [
    rule('mine', 'service.kv.used'),
    rule('hot', 'gpu.temperature'),
    rule('service-queue', null),
  ];
  const lead = (name: string, subject: string) =>
    leadOf(alert('a', { rule: name, subject }).row, rules)?.href;
  expect(lead('service-down', 'vllm')).toBe('#/services/vllm');
  expect(lead('model-on-cpu', 'ollama/hf.co/org/qwen:14b')).toBe('#/services/ollama');
  expect(lead('redis-memory', 'cache')).toBe('#/services/cache');
  expect(lead('vram-contention', 'GPU-1')).toBe('#/services');
  expect(lead('mine', 'vllm')).toBe('#/services/vllm');
  for (const [name, subject] of [
    ['hot', 'GPU-1'],
    ['disk-space', '/home'],
    ['gone', 'x'],
  ] as const)
    expect(lead(name, subject)).toBeUndefined();
});
