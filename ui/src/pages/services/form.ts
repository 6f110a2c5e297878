// A service as it is typed in, what is wrong with it, and what of it goes into the settings. Pure.

import type { Change, Fault, SettingState, SettingValue } from '../../lib/bindings';

export interface Typed {
  url: string;
  name: string;
  /** As in the configuration; `auto`: found out. */
  kind: string;
  key_file: string;
  /** Certificates that its https or rediss is believed by. */
  ca_file: string;
  /** Only of one that is in the settings already. */
  enabled: boolean;
  /** In ms, as typed; `0`: what fits its kind. */
  scrape_ms: string;
}

export type Field = keyof Typed;
export type Problems = Partial<Record<Field, string>>;

export const BLANK: Typed = {
  url: '',
  name: '',
  kind: 'auto',
  key_file: '',
  ca_file: '',
  enabled: true,
  scrape_ms: '0',
};

const SCHEME = /^(https?|rediss?):\/\//;

/** What people write for short, whole: `8080`, `:8080`, `localhost:6379`. */
export function wholeUrl(typed: string): string {
  const text = typed.trim();
  if (text === '' || text.includes('://')) return text;
  const port = /^:?(\d{1,5})$/.exec(text)?.[1];
  const place = port ? `127.0.0.1:${port}` : text.replace(/^\/+/, '');
  // Only what looks like a place; anything else is told to be none.
  if (!/^(\[[0-9a-f:]+\]|[\w.-]+)(:\d{1,5})?(\/\S*)?$/i.test(place)) return text;
  return `${/:6379(\/|$)/.test(place) ? 'redis' : 'http'}://${place}`;
}

function urlProblem(url: string): string | null {
  if (url === '') return 'Where it is, e.g. http://127.0.0.1:8080.';
  if (!SCHEME.test(url)) return 'It begins with http://, https:// or redis://.';
  if (url.length > 512) return 'It has at most 512 characters.';
  const host = url.replace(SCHEME, '').split(/[/?#]/)[0] ?? '';
  if (host.includes('@')) return 'No password stands in an address: it stands in a key file.';
  try {
    if (!new URL(url.replace(/^rediss?:/, 'http:')).hostname) return 'It names no host.';
  } catch {
    return host === '' ? 'It names no host.' : 'This is no address.';
  }
  return null;
}

export function problemsOf(typed: Typed): Problems {
  const problems: Problems = {};
  const url = urlProblem(wholeUrl(typed.url));
  if (url) problems.url = url;
  if (typed.name.trim().length > 64) problems.name = 'It has at most 64 characters.';
  for (const field of ['key_file', 'ca_file'] as const) {
    const file = typed[field].trim();
    if (file !== '' && !file.startsWith('/')) problems[field] = 'It is a whole path: it begins with /.';
  }
  const ms = Number(typed.scrape_ms.trim() || '0');
  if (!Number.isInteger(ms) || (ms !== 0 && (ms < 250 || ms > 600_000)))
    problems.scrape_ms = '0, or 250 to 600000.';
  return problems;
}

const FIELD = /services\.[a-z0-9-]+\.(url|name|kind|key_file|ca_file|enabled|scrape_ms)\b/;

/** The field that a fault is about: the settings say their key, the others what they are. */
export function fieldOf(fault: Fault): Field | null {
  const key = FIELD.exec(fault.message)?.[1];
  if (key) return key as Field;
  if (/\bfile of certificates\b/i.test(fault.message)) return 'ca_file';
  if (/\bkey file\b/i.test(fault.message)) return 'key_file';
  if (/\bkind\b/i.test(fault.message)) return 'kind';
  if (/\baddress\b/i.test(fault.message)) return 'url';
  return /\b(name|id)\b|service .* already/i.test(fault.message) ? 'name' : null;
}

/** What stands in the settings of a service, as a form shows it. */
export function typedOf(id: string, settings: readonly SettingState[]): Typed {
  const value = <T extends SettingValue>(field: Field, otherwise: T): T => {
    const found = settings.find((s) => s.key === `services.${id}.${field}`)?.value;
    return typeof found === typeof otherwise ? (found as T) : otherwise;
  };
  return {
    url: value('url', ''),
    name: value('name', ''),
    kind: value('kind', 'auto'),
    key_file: value('key_file', ''),
    ca_file: value('ca_file', ''),
    enabled: value('enabled', true),
    scrape_ms: String(value('scrape_ms', 0)),
  };
}

/** Variables of the environment that hold fields, by field: those cannot be changed here. */
export function lockedOf(id: string, settings: readonly SettingState[]): Partial<Record<Field, string>> {
  const locked: Partial<Record<Field, string>> = {};
  for (const { key, origin } of settings) {
    const field = key.startsWith(`services.${id}.`) ? key.slice(`services.${id}.`.length) : '';
    if (origin.from === 'environment' && field in BLANK) locked[field as Field] = origin.variable;
  }
  return locked;
}

/** Lines that change; what is as without a line loses its line. */
export function changesOf(id: string, before: Typed, after: Typed): Change[] {
  const value = (typed: Typed, field: Field): SettingValue =>
    field === 'enabled'
      ? typed.enabled
      : field === 'scrape_ms'
        ? Number(typed.scrape_ms.trim() || '0')
        : field === 'url'
          ? wholeUrl(typed.url)
          : typed[field].trim();
  const standard: Record<string, SettingValue> = {
    name: '',
    kind: 'auto',
    key_file: '',
    ca_file: '',
    enabled: true,
    scrape_ms: 0,
  };
  return (Object.keys(BLANK) as Field[]).flatMap((field): Change[] => {
    const now = value(after, field);
    if (now === value(before, field)) return [];
    return [{ key: `services.${id}.${field}`, value: now === standard[field] ? null : now }];
  });
}
