// What is said of a limit, in words. Pure.

import type { LimitInfo, LimitSide, LimitTakesHold, SettingType, SettingValue } from '../bindings';
import { digits3, plural, span } from '../format';
import { write } from '../settings/values';

/** Units that say what is counted; a number on a line goes without them. */
const MEASURES = new Set(['ms', 's', 'h', 'd', '%', 'KiB', 'MiB', 'GiB', '°C', 'W']);

/** A value on a line or a label: `4`, `60 s`, `auto`. */
export function short(limit: LimitInfo, value: SettingValue): string {
  const unit =
    limit.unit !== null && MEASURES.has(limit.unit) && typeof value === 'number' ? ` ${limit.unit}` : '';
  return `${write(value)}${unit}`;
}

/** The same in a larger unit, where that reads easier: `12 h` for 43200 s. */
export function inWords(value: SettingValue, unit: string | null): string | null {
  if (typeof value !== 'number') return null;
  if (unit === 's' && value >= 120) return span(value * 1000);
  if (unit === 'ms' && value >= 10_000) return `${digits3(value / 1000)} s`;
  if (unit === 'h' && value >= 48) return `${digits3(value / 24)} d`;
  if (unit === 'd' && value >= 730) return `${digits3(value / 365.25)} y`;
  if (unit === 'MiB' && value >= 1024) return `${digits3(value / 1024)} GiB`;
  if (unit === 'KiB' && value >= 1024) return `${digits3(value / 1024)} MiB`;
  return null;
}

/** A value as it reads easiest, for where it stands beside another of its kind. */
export const easy = (limit: LimitInfo, value: SettingValue): string =>
  inWords(value, limit.unit)?.replace(/\.0+ /, ' ') ?? short(limit, value);

/** What 0 stands for where it is no number: `any number`, `no limit of its own`. */
export function zeroWords({ meaning }: Pick<LimitInfo, 'meaning'>): string | null {
  return /\b0: ((?:no|not|any|what|the|as)\b[^.,;]*)/.exec(meaning)?.[1] ?? null;
}

/** All that may be typed: `1–65536`, `auto or 1–65536`. */
export function accepted(accepts: SettingType): string {
  switch (accepts.type) {
    case 'integer':
    case 'number':
      return `${accepts.min}–${accepts.max}`;
    case 'integer_or':
      return `${accepts.words.join(', ')} or ${accepts.min}–${accepts.max}`;
    case 'choice':
      return plural(accepts.options.length, 'choice');
    default:
      return '';
  }
}

/** The same where there is little room. */
export function rangeText(accepts: SettingType): string {
  const number = (n: number) => {
    const one = [1e9, 1e6].find((size) => n >= size && n % size === 0);
    return one ? `${n / one} ${one === 1e9 ? 'G' : 'M'}` : n.toLocaleString('en-US');
  };
  return 'min' in accepts ? `${number(accepts.min)}–${number(accepts.max)}` : accepted(accepts);
}

/** Why a slider goes no further, before the name of the other limit. */
export const stopWords = (side: LimitSide): string => `No ${side === 'at_least' ? 'lower' : 'higher'} than`;

/** When a change of it is in force; `null` for at once. */
export function restartText(holds: LimitTakesHold): string | null {
  if (holds.when === 'service_restarts') return holds.text;
  return holds.when === 'plimsoll_restarts' ? 'at the next start of Plimsoll' : null;
}

export interface Restart {
  service: string;
  name: string;
  about_ms: number | null;
}

/** The services that are started anew with these, each once. */
export function restartsOf(limits: readonly LimitInfo[]): Restart[] {
  const list = new Map<string, Restart>();
  for (const { takes_hold } of limits) {
    if (takes_hold.when === 'service_restarts') list.set(takes_hold.service, takes_hold);
  }
  return [...list.values()].map(({ service, name, about_ms }) => ({ service, name, about_ms }));
}

/** How long it is away. */
export const aboutWords = ({ about_ms }: Restart): string =>
  about_ms === null ? 'how long is not known' : `about ${Math.max(1, Math.round(about_ms / 1000))} s`;

/** For the button: `restarts chat (about 9 s)`. */
export function restartWords(list: readonly Restart[]): string {
  const [one, two] = list;
  if (!one) return '';
  if (list.length > 2) return `restarts ${list.length} services`;
  return `restarts ${[one, two].flatMap((r) => (r ? [`${r.name} (${aboutWords(r)})`] : [])).join(' and ')}`;
}

/** Whether every word of a search is said of a limit, or of what it limits. */
export function finds(limit: LimitInfo, group: string, text: string): boolean {
  const hay =
    `${limit.title} ${limit.key} ${limit.meaning} ${limit.of ?? ''} ${limit.unit ?? ''} ${group}`.toLowerCase();
  return text
    .toLowerCase()
    .split(/\s+/)
    .every((word) => hay.includes(word));
}
