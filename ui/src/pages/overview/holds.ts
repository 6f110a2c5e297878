// What holds a memory, and what is said below its bar. Pure: no stores here.

import type { Process, Service } from '../../lib/bindings';
import { text } from '../../lib/format';
import { claims, groupAll, type Group } from '../../lib/groups';
import { modelsOf, vramOf } from '../../lib/services/words';

/** Holders that have a part of their own on the bar; the rest is added up. */
const NAMED = 6;
/** Process list and total are read at different moments: as little as this is noise. */
const NOISE = 32 * 2 ** 20;

export type Ink = 's1' | 's2' | 'mute';

/** A stretch of the bar in one colour. */
export interface Stretch {
  bytes: number;
  ink: Ink;
  /** Set aside and not used now. */
  empty?: boolean;
  /** Behind the number, where there is room. */
  word?: string;
}

export interface Holder {
  id: string;
  name: string;
  /** Said behind the name where there is room: its model. */
  aside: string;
  bytes: number;
  kind: 'service' | 'program' | 'own' | 'small' | 'rest';
  /** Of several that were added up: what services hold of it. */
  ofServices?: number;
  stretches: Stretch[];
}

/** What was read at one moment. */
export interface Sample {
  services: readonly Service[];
  processes: readonly Process[];
  used: number | null;
}

const whole = (holder: Omit<Holder, 'stretches' | 'aside'>, ink: Ink): Holder => ({
  ...holder,
  aside: '',
  stretches: [{ bytes: holder.bytes, ink }],
});

/** Services by what their processes hold, programs of no service, and what nobody owns up to. */
function holdersOf(
  { services, processes, used }: Sample,
  bytesOf: (list: Pick<Group, 'rss_bytes' | 'vram_bytes'>) => number | null,
  ofService: (service: Service, held: number | null) => Holder | null,
  ink: Ink,
  rest: string,
): Holder[] {
  // Our own share is always ours, whatever a service names.
  const owner = claims(services);
  const strangers = processes.filter((p) => p.own || !owner.has(p.pid));
  const held = new Map<string, number>();
  // Where it is told of any process, one of which nothing is told holds none.
  const told = processes.some((p) => bytesOf(p) !== null);
  // Whose processes all belong to others holds nothing of its own.
  for (const service of services) {
    const pids = service.holder?.pids ?? [];
    if (pids.length > 0 && !pids.some((pid) => owner.get(pid) === service.id)) held.set(service.id, 0);
  }
  for (const process of processes) {
    const id = owner.get(process.pid);
    if (id === undefined || !told) continue;
    held.set(id, (held.get(id) ?? 0) + (process.own ? 0 : (bytesOf(process) ?? 0)));
  }
  const all = [
    ...services.flatMap((s) => ofService(s, held.get(s.id) ?? null) ?? []),
    ...groupAll(strangers).map((g) => {
      const kind = g.kind === 'own' ? ('own' as const) : ('program' as const);
      return whole({ id: g.id, name: g.name, bytes: bytesOf(g) ?? 0, kind }, ink);
    }),
  ]
    .filter((h) => h.bytes > 0)
    .sort((a, b) => b.bytes - a.bytes);
  // Our own stands by itself however little it is.
  const named = all.filter((h) => h.kind !== 'own').slice(0, NAMED);
  const own = all.filter((h) => h.kind === 'own');
  const small = all.filter((h) => h.kind !== 'own').slice(NAMED);
  const sum = (list: readonly Holder[]) => list.reduce((total, h) => total + h.bytes, 0);
  const left = used === null ? 0 : used - sum(all);
  return [
    ...named,
    ...(small.length > 0
      ? [
          whole(
            {
              id: 'small',
              name: `${small.length} more`,
              bytes: sum(small),
              kind: 'small',
              ofServices: sum(small.filter((h) => h.kind === 'service')),
            },
            'mute',
          ),
        ]
      : []),
    ...own,
    ...(left > NOISE ? [whole({ id: 'rest', name: rest, bytes: left, kind: 'rest' }, 'mute')] : []),
  ];
}

/** Parts of the VRAM that is used. */
export function vramParts(sample: Sample): Holder[] {
  return holdersOf(sample, (list) => list.vram_bytes, vramOfService, 'mute', 'driver and unknown');
}

function vramOfService(service: Service, held: number | null): Holder | null {
  const told = vramOf(service);
  // What the driver counts for its processes goes before what the server says of itself.
  const bytes = held ?? told?.total ?? null;
  if (bytes === null) return null;
  const weights = Math.min(told?.weights ?? 0, bytes);
  const kv = Math.min(told?.kv ?? 0, bytes - weights);
  const share = service.figures.kv_used_percent;
  const full = share === null ? kv : (kv * Math.min(100, share)) / 100;
  const stretches: Stretch[] = [
    { bytes: weights, ink: 's1' },
    { bytes: full, ink: 's2', word: share === null ? undefined : 'used' },
    { bytes: kv - full, ink: 's2', empty: true, word: 'empty' },
    { bytes: bytes - weights - kv, ink: 'mute' },
  ];
  return {
    id: `service:${service.id}`,
    name: service.name,
    aside: modelWords(service),
    bytes,
    kind: 'service',
    stretches: stretches.filter((s) => s.bytes > 0),
  };
}

/** `Qwen2.5-14B Q4_K_M, 4 slots of 8192`. */
function modelWords(service: Service): string {
  const model = modelsOf(service).find((m) => m.loaded === 'loaded');
  if (!model) return '';
  const slots = service.slots?.total ?? null;
  const context = model.context_tokens;
  const room =
    slots !== null && context !== null ? `${slots} slot${slots === 1 ? '' : 's'} of ${context}` : '';
  // Files are often named by it.
  const { name, quantization: kind } = model;
  const known = kind === null || name.toLowerCase().includes(kind.toLowerCase());
  return [known ? name : `${name} ${kind}`, room].filter(Boolean).join(', ');
}

/** Parts of the RAM that is used. */
export function ramParts(sample: Sample): Holder[] {
  const ofService = (service: Service, held: number | null) => {
    const bytes = held ?? service.holder?.rss_bytes ?? 0;
    return whole({ id: `service:${service.id}`, name: service.name, bytes, kind: 'service' }, 's1');
  };
  return holdersOf(sample, (list) => list.rss_bytes, ofService, 's1', 'kernel and other');
}

/** Which colours there are, for the legend. */
export function inksOf(holders: readonly Holder[]): Set<Ink> {
  return new Set(holders.flatMap((h) => h.stretches.map((s) => s.ink)));
}

// === words below the bar

export interface Fact {
  name: string;
  value: string;
  more: string;
  over?: boolean;
}

/** How much room there is: to the load line and beyond it, or to the end where no line is drawn. */
export function roomFacts(used: number, whole: number, line: number | null, where: string): Fact[] {
  if (line === null) {
    return [{ name: 'Free', value: text(whole - used, 'bytes'), more: `of ${text(whole, 'bytes')}` }];
  }
  const rest = line - used;
  return [
    rest >= 0
      ? { name: 'Free to the line', value: text(rest, 'bytes'), more: `of ${text(line, 'bytes')}` }
      : {
          name: 'Above the line',
          value: text(-rest, 'bytes'),
          more: `of ${text(line, 'bytes')}`,
          over: true,
        },
    {
      name: 'Reserve above it',
      value: text(whole - line, 'bytes'),
      more: `for spikes, ${text(whole, 'bytes')} ${where}`,
    },
  ];
}

/** How full the caches are, as far as servers tell both size and fill. */
export function kvFact(holders: readonly Holder[]): Fact | null {
  const caches = holders.flatMap((h) => {
    const parts = h.stretches.filter((s) => s.ink === 's2');
    return parts.some((s) => s.word !== undefined) ? parts : [];
  });
  const size = caches.reduce((sum, s) => sum + s.bytes, 0);
  if (size === 0) return null;
  const full = caches.filter((s) => !s.empty).reduce((sum, s) => sum + s.bytes, 0);
  return {
    name: 'KV cache in use',
    value: text(full, 'bytes'),
    more: `of ${text(size, 'bytes')}, ${Math.round((100 * full) / size)} %`,
  };
}

/** What belongs to no service, and what of it is ours. */
export function strangersFact(holders: readonly Holder[], services: number, unknown: string | null): Fact {
  const sum = (...kinds: Holder['kind'][]) =>
    holders
      .filter((h) => kinds.includes(h.kind))
      .reduce((total, h) => total + h.bytes - (h.ofServices ?? 0), 0);
  const own = sum('own');
  return {
    name: services > 0 ? 'Of no service' : 'Held by programs',
    value: text(sum('program', 'own', 'small', 'rest'), 'bytes'),
    more: unknown ?? (own > 0 ? `Plimsoll’s own ${text(own, 'bytes')}` : 'none of it is Plimsoll’s'),
  };
}
