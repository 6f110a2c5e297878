// A service as it is written into the settings file.

interface Written {
  id: string;
  name: string;
  url: string;
  /** `null`: it is found out. */
  kind: string | null;
  key_file?: string;
}

const quoted = (text: string) => JSON.stringify(text);

/** The lines that have a service watched. */
export function tomlOf({ id, name, url, kind, key_file = '' }: Written): string {
  const lines = [`[services.${id}]`, `url = ${quoted(url)}`];
  if (kind) lines.push(`kind = ${quoted(kind)}`);
  if (name && name !== id) lines.push(`name = ${quoted(name)}`);
  if (key_file) lines.push(`key_file = ${quoted(key_file)}`);
  return `${lines.join('\n')}\n`;
}
