import { expect, it } from 'vitest';

import type { TrafficGate } from '../../lib/bindings';
import { holding, holdsOf, isOfGate, standingOf, wouldHold } from './gates';
import { trafficOf } from './testing';

const gate = (more: Partial<TrafficGate>): TrafficGate => ({
  gate: 'memory',
  enforced: false,
  closed: false,
  value: 43.2,
  close: 10,
  met: 0,
  reason: '',
  ...more,
});
const shut = {
  closed: true,
  value: 8,
  met: 12,
  reason: 'only 8 % of memory is available, 10 % is the least',
};

it('a gate says beside its settings how it stands and whom it met', () => {
  const gates = [
    gate({}),
    gate({ gate: 'memory_stall', value: 0.4, met: 3 }),
    gate({ gate: 'temperature', value: null }),
  ];
  expect(standingOf('gateway.gates.memory.available_percent', gates)).toEqual({
    text: 'Open now: 43 % available; no request met it closed',
    closed: false,
  });
  expect(standingOf('gateway.gates.memory.mode', gates)?.text).toBe(
    'Open now: 43 % available, 0.4 % stalled; 3 requests met it closed',
  );
  expect(standingOf('gateway.gates.temperature.margin_c', gates)?.text).toBe(
    'Open now: not known; no request met it closed',
  );
  expect(standingOf('gateway.gates.cpu.mode', gates)).toBeNull();
  expect(standingOf('gateway.gates.memory.mode', [gate(shut)])?.closed).toBe(true);
  expect(isOfGate('gateway.queue.max')).toBe(false);
});

it('one that observes says what it would do, one that is enforced what it does', () => {
  expect(wouldHold([gate({})])).toBe('');
  expect(wouldHold([gate(shut)])).toBe(
    'The memory gate would hold requests: only 8 % of memory is available, 10 % is the least. It only observes; 12 requests met it closed',
  );
  const eased = gate({ gate: 'cpu', closed: true, value: 92, close: 95, reason: 'not this' });
  expect(wouldHold([eased])).toContain('92 % busy again; it closed above 95 % and opens a little later');
  const held = trafficOf({ gates: [gate({ ...shut, enforced: true })] });
  expect(wouldHold(held.gates)).toBe('');
  expect(holdsOf(holding(held)!).title).toBe('The memory gate holds new requests');
  expect(holding(trafficOf())).toBeNull();
});
