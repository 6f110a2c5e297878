// What is said of an alert: since when, how far it went, what a click does.

import type { Alert, AlertRow, AlertRule, Severity, Unit } from '../bindings';
import { span, text, when } from '../format';
import { href } from '../router.svelte';

export const SEVERITIES: Record<Severity, { dot: string; name: string }> = {
  info: { dot: 'off', name: 'info' },
  warning: { dot: 'warn', name: 'warning' },
  critical: { dot: 'danger', name: 'critical' },
};

export const SNOOZES: [minutes: number, label: string][] = [
  [60, '1 h'],
  [480, '8 h'],
  [1440, '1 d'],
];

const WEIGHT: Record<Severity, number> = { critical: 0, warning: 1, info: 2 };

/** Active ones: what nobody has seen first, then the worse, then the newer. Ended ones: the newest end first. */
export function order(alerts: readonly Alert[], now: number): { active: Alert[]; ended: Alert[] } {
  const quiet = (a: Alert) => (a.acknowledged_ms !== null || (a.snoozed_until_ms ?? 0) > now ? 1 : 0);
  return {
    active: alerts
      .filter((a) => a.row.end_ms === null)
      .sort(
        (a, b) =>
          quiet(a) - quiet(b) ||
          WEIGHT[a.row.severity] - WEIGHT[b.row.severity] ||
          b.row.start_ms - a.row.start_ms,
      ),
    ended: alerts
      .filter((a) => a.row.end_ms !== null)
      .sort((a, b) => (b.row.end_ms ?? 0) - (a.row.end_ms ?? 0)),
  };
}

/** `since 14:02, 29 min` or `13:10, for 4 min`. */
export function times(row: AlertRow, now: number): string {
  if (row.end_ms === null) return `since ${when(row.start_ms, now)}, ${span(now - row.start_ms)}`;
  return `${when(row.start_ms, now)}, for ${span(row.end_ms - row.start_ms)}`;
}

/** `furthest 96 %, line 90 %`; empty where the rule has no value. */
export function reach(row: AlertRow, unit: Unit | null): string {
  const parts: string[] = [];
  if (row.peak !== null) parts.push(`furthest ${text(row.peak, unit)}`);
  if (row.threshold !== null) parts.push(`line ${text(row.threshold, unit)}`);
  return parts.join(', ');
}

/** `seen at 14:10`, `silent until Wed 09:00`. */
export function silence(alert: Alert, now: number): string | null {
  if (alert.snoozed_until_ms !== null && alert.snoozed_until_ms > now)
    return `silent until ${when(alert.snoozed_until_ms, alert.snoozed_until_ms - 1)}, ${span(alert.snoozed_until_ms - now)} more`;
  if (alert.acknowledged_ms !== null) return `seen at ${when(alert.acknowledged_ms, now)}`;
  return null;
}

/** Rules whose subject is a service, or a model of one. */
const OF_SERVICES = /^(service|model|redis)-/;
/** What a person's own rule may watch of them. */
const SERVICE_METRICS = /^(service|model|redis|store)\./;

export interface Lead {
  name: string;
  href: string;
}

/** Where one looks after what an alert says; `null` where its own words are all there is. */
export function leadOf(row: AlertRow, rules: readonly AlertRule[]): Lead | null {
  if (row.rule === 'vram-contention') return { name: 'Services', href: href('services') };
  const metric = rules.find((rule) => rule.id === row.rule)?.metric ?? '';
  if (!OF_SERVICES.test(row.rule) && !SERVICE_METRICS.test(metric)) return null;
  // A model is named by its service, a slash, and its own name, which may have slashes.
  const [id] = row.subject.split('/', 1);
  return id ? { name: 'Service', href: href('services', id) } : null;
}
