// What a hold would free, as far as the window can tell beforehand. Plimsoll itself decides
// by the same rules when it begins (crates/app, services/hold/plan.rs). Pure.

import type { Process, Service } from '../bindings';
import { claims, groupAll } from '../groups';
import { KIND_LABELS, modelsOf, vramOf } from '../../pages/services/words';

export interface Freed {
  id: string;
  name: string;
  /** `unloads bge-m3`, `stops it`. */
  how: string;
  /** `null` where it is not known. */
  bytes: number | null;
  /** Requests that it works on now. */
  running: number;
}

export interface Stays {
  id: string;
  name: string;
  why: string;
  bytes: number | null;
}

export interface Plan {
  frees: Freed[];
  stays: Stays[];
}

const ENGINES: readonly Service['kind'][] = [
  'llama-cpp',
  'vllm',
  'ollama',
  'sglang',
  'lm-studio',
  'llama-cpp-python',
];

export function planOf(services: readonly Service[], processes: readonly Process[]): Plan {
  const plan: Plan = { frees: [], stays: [] };
  for (const service of services) {
    if (service.origin === 'proposed' || !isHere(service)) continue;
    const fate = fateOf(service);
    if (fate === null) continue;
    const { id, name } = service;
    const bytes = vramOf(service)?.total ?? null;
    if ('how' in fate) {
      const running = service.slots?.busy ?? service.figures.running ?? 0;
      plan.frees.push({ id, name, how: fate.how, bytes: fate.bytes ?? bytes, running });
    } else plan.stays.push({ id, name, why: fate.why, bytes });
  }
  const owner = claims(services);
  for (const group of groupAll(processes.filter((p) => p.own || !owner.has(p.pid)))) {
    if (!group.vram_bytes) continue;
    const why = group.kind === 'own' ? 'the window itself' : 'it belongs to no service';
    plan.stays.push({ id: group.id, name: group.name, why, bytes: group.vram_bytes });
  }
  const larger = (a: { bytes: number | null }, b: { bytes: number | null }) =>
    (b.bytes ?? -1) - (a.bytes ?? -1);
  plan.frees.sort(larger);
  plan.stays.sort(larger);
  return plan;
}

/** What becomes of it; `null` where it holds nothing. */
function fateOf(service: Service): { how: string; bytes: number | null } | { why: string } | null {
  const { actions, run, state, kind } = service;
  const runs = run?.state === 'running' || run?.state === 'starting';
  if ((state === 'down' || state === 'unknown') && !runs) return null;
  const models = modelsOf(service).filter(
    (m) => (m.loaded === 'loaded' || m.loaded === 'loading') && m.vram_bytes !== 0,
  );
  if (actions.load && actions.unload && models.length > 0) {
    const names = models.map((m) => m.name);
    const how = `unloads ${names[0]}${names.length > 1 ? ` and ${names.length - 1} more` : ''}`;
    const sizes = models.map((m) => m.vram_bytes);
    const told = sizes.every((s) => s !== null) ? sizes.reduce((sum, s) => sum + (s ?? 0), 0) : null;
    return { how, bytes: told };
  }
  const bytes = service.vram?.total_bytes ?? service.holder?.vram_bytes ?? null;
  const planned = run?.planned_vram_bytes ?? 0;
  const engine = ENGINES.includes(kind);
  const holds = bytes === null ? models.length > 0 || (runs && engine) : bytes > 0;
  if (!holds && !(runs && planned > 0)) return null;
  if (runs) return { how: 'stops it', bytes: bytes ?? (planned || null) };
  const label = kind === null ? 'its server' : KIND_LABELS[kind];
  if (actions.unload && !actions.load && models.length > 0)
    return { why: `${label} could not load its model again` };
  if (actions.unload) return { why: 'no model of it is loaded' };
  return { why: `${label} lets no model go while it runs, and Plimsoll did not start it` };
}

/** On this machine, as far as its address says. Elsewhere there is another GPU. */
function isHere(service: Service): boolean {
  if (service.holder) return true;
  try {
    const host = new URL(service.url).hostname.replace(/^\[|\]$/g, '');
    return host === 'localhost' || host === '::1' || host === '::' || /^(127\.|0\.0\.0\.0$)/.test(host);
  } catch {
    return false;
  }
}

/** So much becomes free; `null` where it is not known of any. */
export function freedOf(frees: readonly Freed[]): number | null {
  const known = frees.filter((f) => f.bytes !== null);
  return known.length === 0 ? null : known.reduce((sum, f) => sum + (f.bytes ?? 0), 0);
}
