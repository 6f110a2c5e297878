// What a hold would free, in words, and what else stays. What becomes of a service
// Plimsoll decides (`hold.plan`). Pure.

import type { HoldFate, Process, Service } from '../bindings';
import { claims, groupAll } from '../groups';

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

/** The largest first. */
export function planOf(
  fates: readonly HoldFate[],
  services: readonly Service[],
  processes: readonly Process[],
): Plan {
  const plan: Plan = { frees: [], stays: [] };
  for (const { service: id, name, models, vram_bytes: bytes, can, why } of fates) {
    if (!can) {
      plan.stays.push({ id, name, why, bytes });
      continue;
    }
    const service = services.find((s) => s.id === id);
    const running = service?.slots?.busy ?? service?.figures.running ?? 0;
    plan.frees.push({ id, name, how: howOf(models), bytes, running });
  }
  const owner = claims(services);
  for (const group of groupAll(processes.filter((p) => p.own || !owner.has(p.pid)))) {
    if (!group.vram_bytes) continue;
    const why = group.kind === 'own' ? 'It is the window itself.' : 'It belongs to no service.';
    plan.stays.push({ id: group.id, name: group.name, why, bytes: group.vram_bytes });
  }
  const larger = (a: { bytes: number | null }, b: { bytes: number | null }) =>
    (b.bytes ?? -1) - (a.bytes ?? -1);
  plan.frees.sort(larger);
  plan.stays.sort(larger);
  return plan;
}

function howOf([first, ...more]: readonly string[]): string {
  if (first === undefined) return 'stops it';
  return `unloads ${first}${more.length > 0 ? ` and ${more.length} more` : ''}`;
}

/** So much becomes free; `null` where it is not known of any. */
export function freedOf(frees: readonly Freed[]): number | null {
  const known = frees.filter((f) => f.bytes !== null);
  return known.length === 0 ? null : known.reduce((sum, f) => sum + (f.bytes ?? 0), 0);
}
