import { expect, it } from 'vitest';

import type { Process, Service } from '../../lib/bindings';
import { model, NO_FIGURES, some } from '../../lib/services/testing';
import { kvFact, ramParts, roomFacts, strangersFact, vramParts, type Holder } from './holds';

const GIB = 2 ** 30;

function process(pid: number, rss: number, vram: number | null = null, more: Partial<Process> = {}): Process {
  return {
    pid,
    name: `p${pid}`,
    unit: null,
    container: null,
    own: false,
    cpu_percent: null,
    rss_bytes: rss * GIB,
    vram_bytes: vram === null ? null : vram * GIB,
    ...more,
  } as unknown as Process;
}

const service = (id: string, pids: number[], vram: number | null, more: Partial<Service> = {}): Service =>
  some(id, {
    holder: {
      pids,
      name: id,
      container: null,
      started_ms: 1,
      cpu_percent: null,
      rss_bytes: GIB,
      vram_bytes: vram === null ? null : vram * GIB,
    },
    ...more,
  });
const split = (total: number, weights: number | null, kv: number | null): Service['vram'] => ({
  total_bytes: total * GIB,
  weights_bytes: weights === null ? null : weights * GIB,
  kv_bytes: kv === null ? null : kv * GIB,
  other_bytes: (total - (weights ?? 0) - (kv ?? 0)) * GIB,
  basis: 'told',
});
const plain = (holders: Holder[]) => holders.map((h) => [h.name, Math.round((100 * h.bytes) / GIB) / 100]);
const sum = (holders: Holder[]) => holders.reduce((total, h) => total + h.bytes, 0);

it('figures add up to what the card uses, and nobody is counted twice', () => {
  const parts = vramParts({
    // Two services name the same process, and one of them names ours.
    services: [service('chat', [1, 2], 9), service('router', [2, 9], 4), service('far', [], null)],
    processes: [
      process(1, 1, 6),
      process(2, 1, 3),
      process(5, 1, 0.5, { name: 'Xorg' }),
      process(9, 1, 0.25, { own: true }),
    ],
    used: 12 * GIB,
  });
  expect(plain(parts)).toEqual([
    ['chat', 9],
    ['Xorg', 0.5],
    ['Plimsoll', 0.25],
    ['driver and unknown', 2.25],
  ]);
  expect(sum(parts)).toBe(12 * GIB);
  expect(strangersFact(parts, 3, null)).toMatchObject({
    name: 'Of no service',
    value: '3.00 GiB',
    more: 'Plimsoll’s own 256 MiB',
  });
});

it('a service is divided as far as it is known, and its parts make up what its processes hold', () => {
  const figures = { ...NO_FIGURES, kv_used_percent: 75 };
  const [chat, embed, plainOne] = vramParts({
    services: [
      service('chat', [1], 15, { vram: split(15, 8, 6), figures }),
      service('embed', [2], 2, { vram: split(2, 1, null) }),
      service('python', [3], 1),
    ],
    // The processes were read a moment later than the services.
    processes: [process(1, 1, 15.5), process(2, 1, 2), process(3, 1, 1)],
    used: 18.5 * GIB,
  });
  const bits = (h?: Holder) => h?.stretches.map((s) => [s.ink, s.bytes / GIB, s.word ?? '']);
  expect(bits(chat)).toEqual([
    ['s1', 8, ''],
    ['s2', 4.5, 'used'],
    ['s2', 1.5, 'empty'],
    ['mute', 1.5, ''],
  ]);
  expect(bits(embed)).toEqual([
    ['s1', 1, ''],
    ['mute', 1, ''],
  ]);
  expect(bits(plainOne)).toEqual([['mute', 1, '']]);
  expect(kvFact([chat!, embed!, plainOne!])).toMatchObject({ value: '4.50 GiB', more: 'of 6.00 GiB, 75 %' });
  expect(kvFact([embed!])).toBeNull();
});

it('a service is called with its model, its quantisation once, and its slots', () => {
  const called = (more: Partial<Service>) =>
    vramParts({ services: [service('chat', [], 8, more)], processes: [], used: null })[0]?.aside;
  const slots = { total: 4, busy: 1, waiting: 0, basis: 'told' } as const;
  const q4 = model('Qwen2.5-14B', { quantization: 'Q4_K_M', context_tokens: 8192 });
  expect(called({ models: [q4], slots })).toBe('Qwen2.5-14B Q4_K_M, 4 slots of 8192');
  expect(called({ models: [{ ...q4, name: 'qwen2.5-14b-q4_k_m' }] })).toBe('qwen2.5-14b-q4_k_m');
  expect(called({ models: [{ ...q4, loaded: 'unloaded' }], slots })).toBe('');
});

it('a cache whose fill nobody tells is neither full nor empty', () => {
  const [chat] = vramParts({
    services: [service('chat', [1], 15, { vram: split(15, 8, 6) })],
    processes: [],
    used: null,
  });
  expect(chat?.stretches.map((s) => [s.ink, s.word ?? '', s.empty ?? false])).toEqual([
    ['s1', '', false],
    ['s2', '', false],
    ['mute', '', false],
  ]);
  expect(kvFact([chat!])).toBeNull();
});

it('where the driver tells nothing of processes, what servers tell of themselves stands', () => {
  const parts = vramParts({
    services: [service('ollama', [1], null, { vram: split(5, 4, 1) })],
    processes: [process(1, 1)],
    used: 8 * GIB,
  });
  expect(plain(parts)).toEqual([
    ['ollama', 5],
    ['driver and unknown', 3],
  ]);
  expect(strangersFact(parts, 0, 'No such question to this driver')).toMatchObject({
    name: 'Held by programs',
    more: 'No such question to this driver',
  });
});

it('six stand by name, the small ones are added up, ours stays, and services among them stay services', () => {
  const parts = vramParts({
    services: [service('tiny', [20], 0.25)],
    processes: [
      ...[6, 5, 4, 3, 2, 1].map((gib, i) => process(i + 1, 1, gib)),
      process(20, 1, 0.25),
      process(21, 1, 0.5),
      process(30, 1, 0.125, { own: true }),
    ],
    used: null,
  });
  expect(plain(parts).slice(6)).toEqual([
    ['2 more', 0.75],
    ['Plimsoll', 0.13],
  ]);
  expect(strangersFact(parts, 1, null).value).toBe('21.6 GiB');
});

it('the RAM of the machine goes to services, programs and the kernel', () => {
  const parts = ramParts({
    services: [service('redis', [1], null)],
    processes: [9, 8, 7, 6, 5, 4, 2, 1].map((gib, i) => process(i + 1, gib)),
    used: 50 * GIB,
  });
  expect(plain(parts)).toEqual([
    ['redis', 9],
    ['p2', 8],
    ['p3', 7],
    ['p4', 6],
    ['p5', 5],
    ['p6', 4],
    ['2 more', 3],
    ['kernel and other', 8],
  ]);
});

it('says no rest where shared pages make the groups hold more than is used', () => {
  expect(plain(ramParts({ services: [], processes: [process(1, 4)], used: 3 * GIB }))).toEqual([['p1', 4]]);
});

it('room is told up to the line, and beyond it by how much it is passed', () => {
  const below = roomFacts(20 * GIB, 24 * GIB, 22 * GIB, 'on the card');
  expect(below.map((f) => [f.name, f.value])).toEqual([
    ['Free to the line', '2.00 GiB'],
    ['Reserve above it', '2.00 GiB'],
  ]);
  const above = roomFacts(23 * GIB, 24 * GIB, 22 * GIB, 'on the card')[0];
  expect(above).toMatchObject({ name: 'Above the line', value: '1.00 GiB', over: true });
  expect(roomFacts(20 * GIB, 24 * GIB, null, '').map((f) => f.name)).toEqual(['Free']);
});
