import { expect, it } from 'vitest';

import type { MetricSpec, SettingState } from '../../lib/bindings';
import { changesOf, problemsOf, ruleRows, scaled, scaleOf, type NewRule } from './rules';
import { tokens } from './toml';

const state = (key: string): SettingState => ({
  key,
  spec: '',
  value: 1,
  default: 1,
  origin: { from: 'default' },
});
const metric = { name: 'gpu.temperature' } as MetricSpec;
const good: NewRule = {
  id: 'my-rule',
  title: '',
  metric: 'gpu.temperature',
  subject: '',
  below: false,
  threshold: 80,
  clear: null,
  for_s: 30,
  severity: 'warning',
};

it("a rule that names its metric is a person's own, and staged ones are rows already", () => {
  const rows = ruleRows(
    [
      state('alerts.enabled'),
      state('alerts.rules.gpu-hot.enabled'),
      state('alerts.rules.mine.metric'),
      state('alerts.rules.mine.for_s'),
    ],
    [],
    new Map<string, null | string>([
      ['alerts.rules.mine.metric', null],
      ['alerts.rules.fresh.metric', 'cpu.busy'],
    ]),
  );
  expect(rows.map((r) => [r.id, r.own, r.added, r.removed])).toEqual([
    ['gpu-hot', false, false, false],
    ['mine', true, false, true],
    ['fresh', true, true, false],
  ]);
});

it('a threshold in bytes is written in the unit it reads best in', () => {
  const scale = scaleOf('bytes', 512 * 2 ** 20);
  expect([scale.unit, scaled(512 * 2 ** 20, scale.factor)]).toEqual(['MiB', '512']);
  expect(scaled(1.5 * 2 ** 30, scaleOf('bytes', 2 ** 30).factor)).toBe('1.5');
  expect(scaleOf('bytes_per_second', 3 * 2 ** 20).unit).toBe('MiB/s');
});

it('a new rule is refused for what is wrong with it, field by field', () => {
  expect(problemsOf(good, [], [metric])).toEqual({});
  expect(
    Object.keys(problemsOf({ ...good, id: 'My rule', metric: 'x', threshold: NaN }, [], [metric])),
  ).toEqual(['id', 'metric', 'threshold']);
  expect(problemsOf({ ...good, id: 'gpu-hot' }, ['gpu-hot'], [metric]).id).toContain('There is');
  expect(problemsOf({ ...good, clear: 81 }, [], [metric]).clear).toBe('At or below the threshold.');
  expect(problemsOf({ ...good, clear: 79, below: true }, [], [metric]).clear).toBe(
    'At or above the threshold.',
  );
  expect(problemsOf({ ...good, for_s: 1.5 }, [], [metric]).for_s).toBeDefined();
});

it('a new rule writes only the lines it needs', () => {
  expect(changesOf(good).map(([key]) => key.split('.').at(-1))).toEqual([
    'metric',
    'threshold',
    'for_s',
    'severity',
  ]);
  expect(changesOf({ ...good, below: true, subject: '/home' })).toContainEqual([
    'alerts.rules.my-rule.subject',
    '/home',
  ]);
});

it('a line of TOML keeps every character, and a # in quotes is no comment', () => {
  const line = '  title = "no # here" # but here';
  expect(
    tokens(line)
      .map((t) => t.text)
      .join(''),
  ).toBe(line);
  expect(tokens(line).map((t) => t.kind)).toEqual(['plain', 'key', 'plain', 'string', 'plain', 'comment']);
  expect(tokens('[history.keep]')).toEqual([{ kind: 'head', text: '[history.keep]' }]);
  expect(tokens('')).toEqual([]);
});
