// Which alert threshold is the load line of a metric's chart. Until there is a
// gateway, limits are the thresholds of alerts.

import type { AlertRule, Severity } from './bindings';

export interface Line {
  rule: AlertRule;
  /** In the unit of the chart's values. */
  value: number;
  /** True where the value must stay above the line. */
  floor: boolean;
}

/** A metric whose rest is another metric: a floor on what is free is a line for what is used. */
const REST: Record<string, string> = {
  'gpu.vram.used': 'gpu.vram.free',
  'memory.used': 'memory.available',
  'mount.used': 'mount.available',
};

const ORDER: Severity[] = ['info', 'warning', 'critical'];

/**
 * The line of a metric: of the most severe enabled rule, and of these the one
 * that is reached last. `total` is the whole that a share is a share of (bytes).
 */
export function lineOf(metric: string, unit: string, rules: readonly AlertRule[], total: number | null): Line | null {
  const lines: Line[] = [];
  for (const rule of rules) {
    if (!rule.enabled || rule.threshold === null || rule.metric === null) continue;
    const direct = rule.metric === metric;
    const rest = rule.metric === REST[metric];
    if (!direct && !rest) continue;
    let value: number;
    if (unit === 'bytes' && rule.unit === 'percent') {
      if (total === null) continue;
      value = (rule.threshold / 100) * total;
    } else value = rule.threshold;
    if (rest) {
      if (total === null || !rule.below) continue;
      value = total - value;
      lines.push({ rule, value, floor: false });
    } else if (unit === 'bytes' && rule.below && rule.unit === 'percent' && metric.endsWith('.used')) {
      // "Below 10 %" of a metric named by what is used speaks of what is left.
      lines.push({ rule, value: (total ?? 0) - value, floor: false });
    } else lines.push({ rule, value, floor: rule.below });
  }
  const rank = (l: Line) => ORDER.indexOf(l.rule.severity);
  lines.sort((a, b) => rank(b) - rank(a) || (a.floor ? a.value - b.value : b.value - a.value));
  return lines[0] ?? null;
}
