// Which alert threshold is the load line of a series' chart. Until there is a
// gateway, limits are the thresholds of alerts.

import type { AlertRule, SeriesKey, Severity } from './bindings';

export interface Line {
  rule: AlertRule;
  /** In the metric's unit. */
  value: number;
  /** True where the value must stay above the line. */
  floor: boolean;
}

const ORDER: Severity[] = ['info', 'warning', 'critical'];

/** The line of a series: of the most severe enabled rule, and of equals the one that is reached first. */
export function lineOf(key: SeriesKey, rules: readonly AlertRule[]): Line | null {
  const lines = rules
    .filter((rule) => rule.enabled)
    .flatMap((rule) =>
      rule.lines
        .filter((line) => line.metric === key.metric && line.subject === key.subject)
        .map((line): Line => ({ rule, value: line.value, floor: line.below })),
    );
  const rank = (l: Line) => ORDER.indexOf(l.rule.severity);
  lines.sort((a, b) => rank(b) - rank(a) || (a.floor ? b.value - a.value : a.value - b.value));
  return lines[0] ?? null;
}
