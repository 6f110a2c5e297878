// Routes and clients of the gateway: what there may be several of, and none at first.

import type { SettingValue } from '../../lib/bindings';
import { memberOf, type Item, type Staged } from '../../lib/settings/values';

export interface Family {
  one: 'Route' | 'Client';
  /** Before the id. */
  prefix: string;
  heading: string;
  says: string;
  /** Without any of these it would be for nobody. */
  fields: { field: string; label: string; hint: string; list: boolean }[];
}

export const FAMILIES: Record<string, Family> = {
  Routes: {
    one: 'Route',
    prefix: 'gateway.routes.',
    heading: 'Routes',
    says: "a model's own name leads to every service that has it; a route changes that",
    fields: [
      { field: 'models', label: 'Models', hint: 'fast, gpt-4*', list: true },
      { field: 'send_as', label: 'Model to ask for', hint: 'the same', list: false },
    ],
  },
  Clients: {
    one: 'Client',
    prefix: 'gateway.clients.',
    heading: 'Clients with limits of their own',
    says: 'told by what is filled in; all of it must fit',
    fields: [
      { field: 'program', label: 'Program', hint: 'python3', list: false },
      { field: 'agent', label: 'User agent', hint: 'OpenAI/Python*', list: false },
      { field: 'key', label: 'Key', hint: 'the name of a key', list: false },
    ],
  },
};

export interface Member {
  id: string;
  /** What it is for, in short. */
  says: string;
  state: 'there' | 'added' | 'removed';
}

/** Those that are there, and those that will be. */
export function members(family: Family, items: readonly Item[], staged: Staged): Member[] {
  const ids = new Map<string, 'there' | 'added'>();
  for (const { key } of items) {
    const member = memberOf(key);
    if (member?.one === family.one) ids.set(member.id, 'there');
  }
  for (const [key, value] of staged) {
    const member = memberOf(key);
    if (member?.one === family.one && value !== null && !ids.has(member.id)) ids.set(member.id, 'added');
  }
  const said = (key: string): SettingValue | null =>
    staged.has(key) ? (staged.get(key) ?? null) : (items.find((i) => i.key === key)?.state.value ?? null);
  return [...ids].map(([id, state]) => ({
    id,
    says: family.fields
      .map(({ field }) => said(`${family.prefix}${id}.${field}`))
      .map((value) => (Array.isArray(value) ? value.join(', ') : String(value ?? '')))
      .filter((text) => text !== '')
      .join(' → '),
    state: staged.get(family.prefix + id) === null ? 'removed' : state,
  }));
}

/** What is wrong with a new one, or nothing. */
export function problemOf(
  family: Family,
  id: string,
  typed: Record<string, string>,
  taken: readonly string[],
): string | null {
  if (!/^[a-z0-9-]{1,32}$/.test(id)) return 'Its name is 1 to 32 of a–z, 0–9 and -.';
  if (taken.includes(id)) return `There is a ${family.one.toLowerCase()} ${id} already.`;
  const filled = (field: string) => (typed[field] ?? '').trim() !== '';
  if (family.one === 'Route' && !filled('models')) return 'It needs models for which it is.';
  if (!family.fields.some(({ field }) => filled(field)))
    return 'It needs a program, a user agent or a key to be told by.';
  return null;
}

/** What is staged for a new one. */
export function changesOf(
  family: Family,
  id: string,
  typed: Record<string, string>,
): [string, SettingValue][] {
  return family.fields.flatMap(({ field, list }): [string, SettingValue][] => {
    const text = (typed[field] ?? '').trim();
    if (text === '') return [];
    const parts = text.split(',').map((part) => part.trim());
    return [[`${family.prefix}${id}.${field}`, list ? parts.filter((part) => part !== '') : text]];
  });
}
