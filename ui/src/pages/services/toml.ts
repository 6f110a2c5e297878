// A service as it is written into the settings file.

import { wholeUrl, type Typed } from './form';

/** As Plimsoll takes them. */
const LONGEST_ID = 32;

interface Written {
  id: string;
  name: string;
  url: string;
  /** `null`: it is found out. */
  kind: string | null;
  key_file?: string;
  ca_file?: string;
}

const quoted = (text: string) => JSON.stringify(text);

/** The lines that have a service watched. */
export function tomlOf({ id, name, url, kind, key_file = '', ca_file = '' }: Written): string {
  const lines = [`[services.${id}]`, `url = ${quoted(url)}`];
  if (kind) lines.push(`kind = ${quoted(kind)}`);
  if (name && name !== id) lines.push(`name = ${quoted(name)}`);
  if (key_file) lines.push(`key_file = ${quoted(key_file)}`);
  if (ca_file) lines.push(`ca_file = ${quoted(ca_file)}`);
  return `${lines.join('\n')}\n`;
}

/** The lines of what is typed into the form; its id as it may be. */
export function linesOf({ url, name, kind, key_file, ca_file }: Typed): string {
  const id = name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-/, '')
    .slice(0, LONGEST_ID)
    .replace(/-$/, '');
  return tomlOf({
    id: id || 'my-service',
    name: name.trim(),
    url: wholeUrl(url) || 'http://127.0.0.1:8080',
    kind: kind === 'auto' ? null : kind,
    key_file: key_file.trim(),
    ca_file: ca_file.trim(),
  });
}
