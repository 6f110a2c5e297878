// Trying an address out, and what is made of one that is added.

import type { Service, ServiceAdd, ServiceKind, ServiceTest, ServiceTested } from '../../../bindings';
import { CallError } from '../../types';
import { some } from './parts';

const PORTS: Record<string, [ServiceKind, string]> = {
  '8080': ['llama-cpp', 'llama.cpp b9931'],
  '8000': ['vllm', 'vLLM 0.11.0'],
  '11434': ['ollama', 'Ollama 0.12.6'],
  '6379': ['redis', 'Redis 7.2.4'],
};

/** Answers on the ports that everybody uses; port 8443 wants a key, others refuse. */
export function testAnswer(ask: ServiceTest, known: readonly Service[]): ServiceTested {
  const of = known.find((s) => s.id === ask.target);
  const target = of?.url ?? ask.target.trim();
  if (!target.includes('://'))
    throw new CallError({
      code: 'invalid',
      message: `"${target}" is no address.`,
      hint: `Did you mean http://${target}?`,
    });
  const port = /:(\d+)(?:\/|$)/.exec(target)?.[1] ?? '80';
  const found: [ServiceKind, string] | undefined = of?.kind
    ? [of.kind, `${of.kind} ${of.version ?? ''}`.trim()]
    : PORTS[port];
  const [kind, who] = found ?? (port === '8443' ? (['openai', 'An OpenAI-compatible server'] as const) : []);
  if (!kind || of?.state === 'down')
    throw new CallError({
      code: 'unavailable',
      message: `Nothing answers at ${target}: the connection is refused.`,
      hint: 'Is it started, and does it listen on that port?',
    });
  const locked = port === '8443' && ask.key_file === '';
  return {
    url: target,
    kind,
    version: null,
    state: locked ? 'degraded' : 'healthy',
    models: [],
    took_ms: 12,
    message: locked
      ? `${who} at ${target}: it wants a key. A key stands in a file: services.ID.key_file.`
      : `${who} answers at ${target} within 12 ms and has 3 models.`,
  };
}

export function addedOf(ask: ServiceAdd, known: readonly Service[]): Service {
  const port = /:(\d+)(?:\/|$)/.exec(ask.url)?.[1] ?? '80';
  const kind = (ask.kind && ask.kind !== 'auto' ? ask.kind : PORTS[port]?.[0]) as ServiceKind | undefined;
  const stem = (ask.name || kind || 'service').toLowerCase().replace(/[^a-z0-9]+/g, '-');
  const taken = (id: string) => known.some((s) => s.id === id);
  let id = ask.id ?? stem;
  if (ask.id && taken(ask.id))
    throw new CallError({
      code: 'conflict',
      message: `There is a service ${ask.id} already.`,
      hint: 'Give it another name.',
    });
  for (let n = 2; taken(id); n++) id = `${stem}-${n}`;
  return some(id, {
    name: ask.name || id,
    kind: kind ?? null,
    url: ask.url,
    state: 'starting',
    reason: 'it was not looked at yet',
    since_ms: Date.now(),
  });
}
