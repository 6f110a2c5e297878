// A service as it is written into the settings file.

import type { Service } from '../../lib/bindings';

export const EXAMPLE = `[services.llama]
url = "http://127.0.0.1:8080"

[services.redis]
url = "redis://127.0.0.1:6379"
# key_file = "/etc/plimsoll/redis.key"
`;

const quoted = (text: string) => JSON.stringify(text);

/** The lines that have a found service watched; its kind is not asked for again. */
export function tomlOf(service: Pick<Service, 'id' | 'name' | 'url' | 'kind'>): string {
  const lines = [`[services.${service.id}]`, `url = ${quoted(service.url)}`];
  if (service.kind) lines.push(`kind = ${quoted(service.kind)}`);
  if (service.name && service.name !== service.id) lines.push(`name = ${quoted(service.name)}`);
  return `${lines.join('\n')}\n`;
}
