// Processes by what a person would call them: the service, else the container, else the program.

import type { Process, Service } from './bindings';

export type GroupKind = 'service' | 'container' | 'program' | 'own';

export interface Group {
  id: string;
  name: string;
  kind: GroupKind;
  processes: Process[];
  /** Sums over its processes. CPU and VRAM are `null` where none of them is known. */
  cpu_percent: number | null;
  rss_bytes: number;
  vram_bytes: number | null;
}

export function groupOf(process: Process): Pick<Group, 'id' | 'name' | 'kind'> {
  if (process.own) return { id: 'own', name: 'Plimsoll', kind: 'own' };
  // Units of a login session hold everything a person started: they say nothing.
  if (process.unit && /\.service$/.test(process.unit) && !/^user@\d+\.service$/.test(process.unit)) {
    return { id: `service:${process.unit}`, name: process.unit.replace(/\.service$/, ''), kind: 'service' };
  }
  if (process.container) {
    return { id: `container:${process.container}`, name: process.container, kind: 'container' };
  }
  return { id: `program:${process.name}`, name: process.name, kind: 'program' };
}

export function groupAll(processes: readonly Process[]): Group[] {
  const groups = new Map<string, Group>();
  for (const process of processes) {
    const head = groupOf(process);
    let group = groups.get(head.id);
    if (!group) {
      groups.set(
        head.id,
        (group = { ...head, processes: [], cpu_percent: null, rss_bytes: 0, vram_bytes: null }),
      );
    }
    group.processes.push(process);
    group.cpu_percent = plus(group.cpu_percent, process.cpu_percent);
    group.rss_bytes += process.rss_bytes;
    group.vram_bytes = plus(group.vram_bytes, process.vram_bytes);
  }
  return [...groups.values()];
}

function plus(a: number | null, b: number | null): number | null {
  return b === null ? a : (a ?? 0) + b;
}

/** Whose a process is, by pid. One that two services name belongs to the first: nothing is counted twice. */
export function claims(services: readonly Service[]): Map<number, string> {
  const owner = new Map<number, string>();
  for (const service of services) {
    for (const pid of service.holder?.pids ?? []) if (!owner.has(pid)) owner.set(pid, service.id);
  }
  return owner;
}

/** Name and the argument that tells processes of one program apart: `python agent.py`, not `python3` five times. */
export function titleOf(p: Process): string {
  if (!/^(python|node|ruby|perl|bash|sh|java)[\d.]*$/.test(p.name)) return p.name;
  const script = p.command
    .split(' ')
    .slice(1)
    .find((part) => part !== '' && !part.startsWith('-'));
  return script ? `${p.name} ${script.split('/').at(-1) ?? ''}` : p.name;
}
