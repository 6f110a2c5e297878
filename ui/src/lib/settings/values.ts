// Settings as a person reads and writes them. Pure: the schema says everything
// that is said of a setting anywhere.

import type { SettingSpec, SettingState, SettingValue } from '../bindings';

/** A staged value; `null` takes the line out of the file, back to the default. */
export type Staged = ReadonlyMap<string, SettingValue | null>;

export interface Item {
  key: string;
  spec: SettingSpec;
  state: SettingState;
}

export function slug(section: string): string {
  return section
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '');
}

export function same(a: SettingValue, b: SettingValue): boolean {
  if (Array.isArray(a) && Array.isArray(b))
    return a.length === b.length && a.every((part, i) => part === b[i]);
  return a === b;
}

/** A value in words: `on`, `4096`, `empty`. */
export function write(value: SettingValue): string {
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  if (typeof value === 'number') return String(value);
  if (Array.isArray(value)) return value.length === 0 ? 'none' : value.join(', ');
  return value === '' ? 'empty' : value;
}

/** As it stands in a text field. */
export function asText(value: SettingValue): string {
  if (!Array.isArray(value)) return String(value);
  // Commas part it; where they stand inside a part, only quotes say which do.
  return value.some((part) => part === '' || part !== part.trim() || /[,\n[]/.test(part))
    ? JSON.stringify(value)
    : value.join(', ');
}

export type Parsed = { value: SettingValue; problem: null } | { value: null; problem: string };

const refuse = (problem: string): Parsed => ({ value: null, problem });
const accept = (value: SettingValue): Parsed => ({ value, problem: null });

/** What was typed, as a value, or what is wrong with it and what is allowed. */
export function parse(spec: SettingSpec, text: string): Parsed {
  const typed = text.trim();
  const { accepts } = spec;
  switch (accepts.type) {
    case 'switch':
      return typed === 'true' || typed === 'on'
        ? accept(true)
        : typed === 'false' || typed === 'off'
          ? accept(false)
          : refuse('It is on or off.');
    case 'integer':
    case 'integer_or':
    case 'number': {
      if (accepts.type === 'integer_or' && accepts.words.includes(typed)) return accept(typed);
      const whole = accepts.type !== 'number';
      // A comma is how half of Europe writes the point; a space how it writes thousands.
      const plain = typed
        .replace(/[\s\u2009]/g, '')
        .replace(',', '.')
        .replace('\u2212', '-');
      const form = whole ? /^[+-]?\d+$/ : /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
      const words = accepts.type === 'integer_or' ? `${accepts.words.join(', ')} or ` : '';
      const kind = whole ? 'a whole number' : 'a number';
      const allowed = `${words}${kind}, ${accepts.type === 'integer_or' ? `${accepts.min}–${accepts.max}` : rangeOf(spec)}`;
      if (!form.test(plain)) return refuse(`It is ${allowed}.`);
      const value = Number(plain);
      if (value < accepts.min || value > accepts.max) return refuse(`It is ${allowed}.`);
      return accept(value);
    }
    case 'text':
      return typed.length > accepts.max_length
        ? refuse(`It has at most ${accepts.max_length} characters.`)
        : accept(typed);
    case 'path':
      return typed !== '' && !typed.startsWith('/') && !typed.startsWith('~')
        ? refuse('It is an absolute path: it begins with /.')
        : accept(typed);
    case 'choice':
      return accepts.options.includes(typed)
        ? accept(typed)
        : refuse(`It is one of ${accepts.options.join(', ')}.`);
    case 'list': {
      const parts = partsOf(typed);
      if (!parts) return refuse('In brackets it is a list of quoted texts, e.g. ["a", "b, c"].');
      return parts.length > accepts.max_items
        ? refuse(`It has at most ${accepts.max_items} parts.`)
        : accept(parts);
    }
  }
}

/** Parts with commas between, or as they stand in the file; `null` where it is neither. */
function partsOf(typed: string): string[] | null {
  if (!typed.startsWith('[')) {
    return typed
      .split(/[,\n]/)
      .map((part) => part.trim())
      .filter((part) => part !== '');
  }
  try {
    const list: unknown = JSON.parse(typed);
    return Array.isArray(list) && list.every((part) => typeof part === 'string') ? list : null;
  } catch {
    return null;
  }
}

const FAR = 1e15;

/** `64–1048576`, `on or off`; with words where an end is no real limit. */
export function rangeOf(spec: SettingSpec): string {
  const { accepts } = spec;
  switch (accepts.type) {
    case 'switch':
      return 'on or off';
    case 'integer_or':
      return `${accepts.words.join(', ')} or ${accepts.min}–${accepts.max}`;
    case 'integer':
    case 'number': {
      const low = accepts.min <= -FAR;
      const high = accepts.max >= FAR;
      if (low && high) return 'any number';
      if (high) return `${accepts.min} or more`;
      if (low) return `${accepts.max} or less`;
      return `${accepts.min}–${accepts.max}`;
    }
    case 'text':
      return `at most ${accepts.max_length} characters`;
    case 'choice':
      return accepts.options.join(', ');
    case 'path':
      return 'a path, or empty';
    case 'list':
      return `at most ${accepts.max_items}, with commas between`;
  }
}

export interface Preset {
  letter: 'C' | 'B' | 'A';
  name: string;
  value: SettingValue;
}

/** Conservative, balanced (the default), aggressive: only where there is something to choose from. */
export function presets({ spec, state }: Item): Preset[] {
  const { conservative, aggressive } = spec;
  if (conservative === null && aggressive === null) return [];
  const list: Preset[] = [];
  if (conservative !== null) list.push({ letter: 'C', name: 'Conservative', value: conservative });
  list.push({ letter: 'B', name: 'Balanced', value: state.default });
  if (aggressive !== null) list.push({ letter: 'A', name: 'Aggressive', value: aggressive });
  return list;
}

/** Staging what is in force already takes the stage away; going back to the default takes the line out. */
export function stage(staged: Staged, { key, state }: Item, value: SettingValue | null): Staged {
  const next = new Map(staged);
  const inFile = state.origin.from === 'file';
  const target = value === null || same(value, state.default) ? null : value;
  if (target === null ? same(state.value, state.default) && !inFile : same(target, state.value))
    next.delete(key);
  // A line that says the default is left alone, unless a person asks for the default.
  else if (target === null && value !== null && same(value, state.value)) next.delete(key);
  else next.set(key, target);
  return next;
}

/** What a setting will be after Apply. */
export function after({ key, state }: Item, staged: Staged): SettingValue {
  if (!staged.has(key)) return state.value;
  return staged.get(key) ?? state.default;
}

export const isChanged = (state: SettingState): boolean => !same(state.value, state.default);
export const isLocked = (state: SettingState): boolean => state.origin.from === 'environment';

/** Settings with what is said of them, in the schema's order; those of one service, route or client stand together. */
export function itemsOf(specs: readonly SettingSpec[], states: readonly SettingState[]): Item[] {
  const byKey = new Map(specs.map((spec, at) => [spec.key, { spec, at }]));
  return states
    .flatMap((state) => {
      const found = byKey.get(state.spec);
      return found ? [{ item: { key: state.key, spec: found.spec, state }, at: found.at }] : [];
    })
    .sort((a, b) => {
      const [one, other] = [memberOf(a.item.key), memberOf(b.item.key)];
      return (
        (one !== null && one.one === other?.one && one.id.localeCompare(other.id)) ||
        a.at - b.at ||
        a.item.key.localeCompare(b.item.key)
      );
    })
    .map(({ item }) => item);
}

/** Whether every word of a search is in name, key, meaning or section. */
export function finds({ key, spec }: Item, text: string): boolean {
  const hay = `${spec.label} ${key} ${spec.meaning} ${spec.section}`.toLowerCase();
  return text
    .toLowerCase()
    .split(/\s+/)
    .every((word) => hay.includes(word));
}

/** The id of an alert rule, where a key belongs to one. */
export function ruleOf(key: string): { id: string; field: string } | null {
  const match = /^alerts\.rules\.([a-z0-9-]{1,32})\.([a-z_]+)$/.exec(key);
  return match?.[1] && match[2] ? { id: match[1], field: match[2] } : null;
}

/** Of what there may be several of, each with an id of its own; alert rules apart. */
const FAMILIES = [
  ['services', 'Service'],
  ['gateway.routes', 'Route'],
  ['gateway.clients', 'Client'],
] as const;

/** What a key belongs to: `services.discover` and `gateway.clients.max_in_flight` belong to none. */
export function memberOf(key: string): { one: 'Service' | 'Route' | 'Client'; id: string } | null {
  for (const [prefix, one] of FAMILIES) {
    const [id, field, ...more] = key.startsWith(`${prefix}.`) ? key.slice(prefix.length + 1).split('.') : [];
    if (id && field && more.length === 0 && /^[a-z0-9-]{1,32}$/.test(id)) return { one, id };
  }
  return null;
}

/** `disk-space: Threshold` for a rule's settings, `chat: Address` for a service's, else the label. */
export function titleOf({ key, spec }: Item): string {
  const id = ruleOf(key)?.id ?? memberOf(key)?.id;
  return id ? `${id}: ${spec.label}` : spec.label;
}

/** The variable that would lock a key, as in the documentation. */
export function variableOf(key: string): string {
  return `PLIMSOLL_${key.toUpperCase().replaceAll('.', '__').replaceAll('-', '_')}`;
}
