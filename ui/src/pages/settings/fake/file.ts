// A file of settings as text: enough of TOML for the invented one to be read, changed and compared.

import type { Change, DiffLine, Problem, SettingValue } from '../../../lib/bindings';
import { specOf } from './table';

export const FILE = `# How this workstation is watched.
[sampling]
interval_ms = 1000        # a second

[history]
max_mib = 4096

[history.keep]
# what happened last night
raw_hours = 24

[alerts.rules.vram-free]
threshold = 1610612736.0

[alerts.rules.night-heat]
metric = "gpu.temperature"
threshold = 70.0
title = "Warm at night"

[services.chat]
url = "http://127.0.0.1:8080"
kind = "llama-cpp"
command = ["/usr/local/bin/llama-server", "-m", "/srv/models/Qwen2.5-14B-Instruct-Q4_K_M.gguf", "--metrics"]
vram_mib = 15667
context_tokens = 32768
parallel = 4

[services.embed]
url = "http://127.0.0.1:8081"

[services.vision]
url = "http://127.0.0.1:8082"
kind = "vllm"
command = ["/opt/vllm/bin/vllm", "serve", "Qwen/Qwen2.5-VL-7B-Instruct-AWQ", "--port", "8082"]
autostart = false
vram_mib = 7373

[services.qdrant]
url = "http://127.0.0.1:6333"

[services.redis]
url = "redis://127.0.0.1:6379"

[services.sandbox]
url = "http://127.0.0.1:8003"
`;

/** Values of a text, line by line: enough of TOML for this file. */
export function read(text: string): {
  values: Map<string, { value: SettingValue; line: number }>;
  problems: Problem[];
} {
  const values = new Map<string, { value: SettingValue; line: number }>();
  const problems: Problem[] = [];
  let head = '';
  text.split('\n').forEach((raw, at) => {
    const line = raw.replace(/\s+#[^"]*$/, '').trim();
    const wrong = (column: number, key: string | null, message: string, mend: string | null = null) =>
      problems.push({ line: at + 1, column, key, message, hint: mend ? null : 'Look at the line.', mend });
    if (line === '' || line.startsWith('#')) return;
    const table = /^\[([^\]]+)\]$/.exec(line);
    if (table?.[1]) {
      head = table[1].trim();
      return;
    }
    const pair = /^([\w-]+)\s*=\s*(.+)$/.exec(line);
    if (!pair?.[1] || !pair[2]) return void wrong(1, null, `This is no TOML: ${line}`);
    const key = `${head}.${pair[1]}`;
    const found = specOf(key);
    if (!found) return void wrong(1, key, `There is no setting ${key}.`);
    let value: unknown;
    try {
      value = JSON.parse(pair[2]);
    } catch {
      return void wrong(raw.indexOf('=') + 3, key, `${key} has no value that TOML knows.`);
    }
    const { accepts } = found;
    if (accepts.type === 'integer' || accepts.type === 'number') {
      const digits = /\d+/.exec(String(value))?.[0];
      if (typeof value !== 'number' || value < accepts.min || value > accepts.max) {
        return void wrong(
          raw.indexOf('=') + 3,
          key,
          `${key} is ${accepts.type === 'integer' ? 'a whole number' : 'a number'}, ${accepts.min} to ${accepts.max}. Found ${typeof value === 'string' ? `the text ${pair[2]}` : pair[2]}.`,
          digits && typeof value === 'string' ? raw.replace(pair[2], digits) : null,
        );
      }
    }
    values.set(key, { value: value as SettingValue, line: at + 1 });
  });
  return { values, problems };
}

export function write(text: string, changes: readonly Change[]): string {
  let lines = text.split('\n');
  for (const { key, value } of changes) {
    const head = key.slice(0, key.lastIndexOf('.'));
    const name = key.slice(key.lastIndexOf('.') + 1);
    const start = lines.findIndex((l) => l.trim() === `[${head}]`);
    const end = start < 0 ? -1 : lines.findIndex((l, i) => i > start && l.trim().startsWith('['));
    const last = end < 0 ? lines.length : end;
    const at =
      start < 0 ? -1 : lines.findIndex((l, i) => i > start && i < last && l.trim().startsWith(`${name} `));
    const line = `${name} = ${JSON.stringify(value)}`;
    if (value === null) {
      if (at >= 0) lines = lines.filter((_, i) => i !== at);
    } else if (at >= 0) lines[at] = line + (/(\s+#[^"]*)$/.exec(lines[at] ?? '')?.[1] ?? '');
    else if (start >= 0) lines.splice(start + 1, 0, line);
    else lines.push(`[${head}]`, line, '');
  }
  return lines.join('\n');
}

/** Longest common lines, with two lines of context. */
export function diff(before: string, after: string): DiffLine[] {
  const a = before.split('\n');
  const b = after.split('\n');
  const length = Array.from({ length: a.length + 1 }, () => new Array<number>(b.length + 1).fill(0));
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--)
      length[i]![j] =
        a[i] === b[j] ? length[i + 1]![j + 1]! + 1 : Math.max(length[i + 1]![j]!, length[i]![j + 1]!);
  const all: DiffLine[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j])
      all.push({ sign: 'context', text: a[i]!, old_line: ++i, new_line: ++j });
    else if (i < a.length && (j >= b.length || length[i + 1]![j]! >= length[i]![j + 1]!))
      all.push({ sign: 'removed', text: a[i]!, old_line: ++i, new_line: null });
    else all.push({ sign: 'added', text: b[j]!, old_line: null, new_line: ++j });
  }
  return all.filter(
    (line, at) =>
      line.sign !== 'context' || all.slice(Math.max(0, at - 2), at + 3).some((l) => l.sign !== 'context'),
  );
}
