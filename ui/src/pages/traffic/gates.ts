// Gates that pressure on the machine closes: how they stand, in words. Pure.

import type { Traffic, TrafficGate } from '../../lib/bindings';
import { count, plural, signed } from '../../lib/format';

const NAMES: Record<TrafficGate['gate'], string> = {
  memory: 'memory',
  memory_stall: 'memory',
  cpu: 'CPU',
  temperature: 'temperature',
};

/** The settings that say when a gate closes, and which of the gates they are about. */
const OF_SETTINGS: Record<string, TrafficGate['gate'][]> = {
  'gateway.gates.memory.mode': ['memory', 'memory_stall'],
  'gateway.gates.memory.available_percent': ['memory'],
  'gateway.gates.memory.stalled_percent': ['memory_stall'],
  'gateway.gates.cpu.mode': ['cpu'],
  'gateway.gates.cpu.busy_percent': ['cpu'],
  'gateway.gates.temperature.mode': ['temperature'],
  'gateway.gates.temperature.margin_c': ['temperature'],
};

/** A decimal where it says something. */
const short = (value: number): string => (Math.abs(value) < 10 ? signed(value, 1) : signed(value, 0));

export const isOfGate = (key: string): boolean => key in OF_SETTINGS;

function valueOf(g: TrafficGate): string {
  if (g.value === null) return 'not known';
  const value = short(g.value);
  switch (g.gate) {
    case 'memory':
      return `${value} % available`;
    case 'memory_stall':
      return `${value} % stalled`;
    case 'cpu':
      return `${value} % busy`;
    case 'temperature':
      return `${value} °C left`;
  }
}

/** Who came meanwhile: `12 requests met it closed`. */
function metOf(g: TrafficGate): string {
  if (g.met === 0) return 'no request met it closed';
  const n = count(g.met);
  return `${n.value}${n.unit} ${g.met === 1 ? 'request' : 'requests'} met it closed`;
}

/** Why it is closed; between the value that closed it and the one that opens it, so too. */
function whyOf(g: TrafficGate): string {
  const low = g.gate === 'memory' || g.gate === 'temperature';
  const eased = g.value !== null && (low ? g.value >= g.close : g.value <= g.close);
  if (!eased) return g.reason;
  const unit = g.gate === 'temperature' ? '°C' : '%';
  return `${valueOf(g)} again; it closed ${low ? 'below' : 'above'} ${short(g.close)} ${unit} and opens a little later`;
}

/** Beside its setting: `Open now: 43 % available. No request met it closed since the start.` */
export function standingOf(
  key: string,
  gates: readonly TrafficGate[],
): { text: string; closed: boolean } | null {
  const those = gates.filter((g) => OF_SETTINGS[key]?.includes(g.gate));
  const first = those.find((g) => g.closed) ?? those[0];
  if (!first) return null;
  const state = first.value === null && !first.closed ? 'Open' : first.closed ? 'Closed' : 'Open';
  const values = those.map(valueOf).join(', ');
  const met = those.length === 1 ? first : { ...first, met: Math.max(...those.map((g) => g.met)) };
  return { text: `${state} now: ${values}; ${metOf(met)}`, closed: first.closed };
}

/** An enforced gate that is closed: nothing new goes on. */
export const holding = (t: Traffic): TrafficGate | null =>
  t.gates.find((g) => g.closed && g.enforced) ?? null;

/** A gate that only observes and would hold now, in one line; empty where none would. */
export function wouldHold(gates: readonly TrafficGate[]): string {
  const g = gates.find((one) => one.closed && !one.enforced);
  return g ? `The ${NAMES[g.gate]} gate would hold requests: ${whyOf(g)}. It only observes; ${metOf(g)}` : '';
}

export function holdsOf(g: TrafficGate): { title: string; text: string } {
  return {
    title: `The ${NAMES[g.gate]} gate holds new requests`,
    text: `It opens by itself: ${whyOf(g)}. What runs goes on; ${plural(g.met, 'request')} met it closed.`,
  };
}
