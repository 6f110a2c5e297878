// Every setting as Plimsoll itself says it, with nothing in its file. The JSON is
// written by `plimsoll-core`, whose tests fail where the two differ.

import type { SettingSpec, SettingState } from '../../../lib/bindings';
import table from './table.json';

export const SPECS = table.specs as SettingSpec[];
export const STATES = table.states as SettingState[];

const matches = SPECS.map((spec) => ({
  spec,
  key: new RegExp(`^${spec.key.replaceAll('.', '\\.').replace('*', '[a-z0-9-]+')}$`),
}));

/** What is said of a key, also of one that belongs to a rule. */
export const specOf = (key: string): SettingSpec | undefined => matches.find((m) => m.key.test(key))?.spec;
