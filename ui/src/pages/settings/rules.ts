// Alert rules as rows: what is set, what is staged, and in which unit a person writes it.

import type { AlertRule, MetricSpec, SettingState, SettingValue, Severity, Unit } from '../../lib/bindings';
import { bytes } from '../../lib/format';
import { ruleOf, type Staged } from '../../lib/settings/values';

export interface RuleRow {
  id: string;
  /** Made by a person: it can be removed, and names its metric. */
  own: boolean;
  /** Not in force before Apply. */
  added: boolean;
  /** Gone after Apply. */
  removed: boolean;
  fields: Map<string, SettingState>;
  rule: AlertRule | null;
}

export const PREFIX = 'alerts.rules.';
export const keyOf = (id: string, field: string): string => `${PREFIX}${id}.${field}`;

/** In the order of the settings; added ones last. */
export function ruleRows(
  states: readonly SettingState[],
  rules: readonly AlertRule[],
  staged: Staged,
): RuleRow[] {
  const rows = new Map<string, RuleRow>();
  const known = new Map(rules.map((rule) => [rule.id, rule]));
  for (const state of states) {
    const part = ruleOf(state.key);
    if (!part) continue;
    let row = rows.get(part.id);
    if (!row) {
      row = {
        id: part.id,
        own: false,
        added: false,
        removed: false,
        fields: new Map(),
        rule: known.get(part.id) ?? null,
      };
      rows.set(part.id, row);
    }
    row.fields.set(part.field, state);
    // Rules that come with Plimsoll have their metric in the program, not in the settings.
    if (part.field === 'metric') row.own = true;
  }
  for (const row of rows.values()) {
    row.removed =
      row.own && staged.get(keyOf(row.id, 'metric')) === null && staged.has(keyOf(row.id, 'metric'));
  }
  for (const key of staged.keys()) {
    const part = ruleOf(key);
    if (!part || rows.has(part.id)) continue;
    rows.set(part.id, { id: part.id, own: true, added: true, removed: false, fields: new Map(), rule: null });
  }
  return [...rows.values()];
}

/** A factor and a name in which a threshold reads short. */
export interface Scale {
  factor: number;
  unit: string;
}

const FACTORS: Record<string, number> = {
  B: 1,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
  PiB: 2 ** 50,
};

export function scaleOf(unit: Unit | null, typical: number): Scale {
  switch (unit) {
    case 'bytes':
    case 'bytes_per_second': {
      const name = bytes(Math.abs(typical)).unit;
      return { factor: FACTORS[name] ?? 1, unit: unit === 'bytes' ? name : `${name}/s` };
    }
    case 'percent':
      return { factor: 1, unit: '%' };
    case 'celsius':
      return { factor: 1, unit: '°C' };
    case 'watts':
      return { factor: 1, unit: 'W' };
    case 'joules':
      return { factor: 1, unit: 'J' };
    case 'megahertz':
      return { factor: 1, unit: 'MHz' };
    case 'milliseconds':
      return { factor: 1, unit: 'ms' };
    case 'count':
    case 'flag':
    case null:
      return { factor: 1, unit: '' };
  }
}

/** A value in a scale, without digits that nobody typed. */
export function scaled(value: number, factor: number): string {
  return String(Number((value / factor).toPrecision(6)));
}

/** A number as people write it; not a number where it is none. */
export const numberOf = (text: string): number =>
  text.trim() === '' ? NaN : Number(text.trim().replace(',', '.').replace('\u2212', '-'));

/** What a field of a rule will be after Apply; `null` where it has none. */
export function valueOf(row: RuleRow, field: string, staged: Staged): SettingValue | null {
  const key = keyOf(row.id, field);
  const state = row.fields.get(field);
  if (staged.has(key)) return staged.get(key) ?? state?.default ?? null;
  return state?.value ?? null;
}

/** A rule as it stands in the fields of a form. */
export interface TypedRule {
  id: string;
  title: string;
  metric: string;
  subject: string;
  below: boolean;
  threshold: string;
  clear: string;
  for_s: string;
  severity: Severity;
}

export const blankRule = (): TypedRule => ({
  id: '',
  title: '',
  metric: '',
  subject: '',
  below: false,
  threshold: '',
  clear: '',
  for_s: '30',
  severity: 'warning',
});

/** A rule that is there, for the fields of the form. */
export function typedOf(row: RuleRow, staged: Staged, scale: Scale): TypedRule {
  const get = (field: string) => valueOf(row, field, staged);
  const number = (field: string) => {
    const value = get(field);
    return typeof value === 'number' ? scaled(value, scale.factor) : '';
  };
  const threshold = number('threshold');
  const clear = number('clear');
  return {
    id: row.id,
    title: String(get('title') ?? ''),
    metric: String(get('metric') ?? ''),
    subject: String(get('subject') ?? ''),
    below: get('below') === true,
    threshold,
    clear: clear === threshold ? '' : clear,
    for_s: String(get('for_s') ?? 30),
    severity: (get('severity') ?? 'warning') as Severity,
  };
}

export const typedRule = (typed: TypedRule, scale: Scale): NewRule => ({
  ...typed,
  metric: typed.metric.trim(),
  subject: typed.subject.trim(),
  title: typed.title.trim(),
  threshold: numberOf(typed.threshold) * scale.factor,
  clear: typed.clear.trim() === '' ? null : numberOf(typed.clear) * scale.factor,
  for_s: numberOf(typed.for_s),
});

export interface NewRule {
  id: string;
  title: string;
  metric: string;
  subject: string;
  below: boolean;
  threshold: number;
  clear: number | null;
  for_s: number;
  severity: Severity;
}

/** What is wrong with a rule before it is staged, field by field. */
export function problemsOf(
  rule: NewRule,
  taken: readonly string[],
  metrics: readonly MetricSpec[],
): Partial<Record<keyof NewRule, string>> {
  const problems: Partial<Record<keyof NewRule, string>> = {};
  if (!/^[a-z0-9-]{1,32}$/.test(rule.id)) problems.id = 'Small letters, digits and -, at most 32.';
  else if (taken.includes(rule.id)) problems.id = 'There is a rule of that name.';
  if (!metrics.some((m) => m.name === rule.metric)) problems.metric = 'Choose a metric from the list.';
  if (!Number.isFinite(rule.threshold)) problems.threshold = 'A number.';
  if (rule.clear !== null) {
    const wrong = rule.below ? rule.clear < rule.threshold : rule.clear > rule.threshold;
    if (!Number.isFinite(rule.clear)) problems.clear = 'A number, or empty.';
    else if (wrong) problems.clear = rule.below ? 'At or above the threshold.' : 'At or below the threshold.';
  }
  if (!Number.isInteger(rule.for_s) || rule.for_s < 0 || rule.for_s > 86_400)
    problems.for_s = '0 to 86400 s.';
  return problems;
}

/**
 * What to stage for a rule. Of a new one only the lines that it needs, defaults are left
 * out; of one that is there every line, `null` where the default is meant.
 */
export function changesOf(rule: NewRule, existing = false): [string, SettingValue | null][] {
  const all: [string, SettingValue | null][] = [
    [keyOf(rule.id, 'metric'), rule.metric],
    [keyOf(rule.id, 'threshold'), rule.threshold],
    [keyOf(rule.id, 'for_s'), rule.for_s],
    [keyOf(rule.id, 'severity'), rule.severity],
    [keyOf(rule.id, 'clear'), rule.clear],
    [keyOf(rule.id, 'below'), rule.below || null],
    [keyOf(rule.id, 'subject'), rule.subject || null],
    [keyOf(rule.id, 'title'), rule.title || null],
  ];
  return existing ? all : all.filter(([, value]) => value !== null);
}
