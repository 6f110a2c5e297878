// The gateway's own figures over time: bursts in which requests queue, and calm between them.

import { mix, wave } from '../noise';
import type { FakeSeries } from '../series';

export const ROOM = 4;

/** How much the programs want at once. */
const demand = (t: number): number => {
  const burst = wave(201, t, 420_000);
  const calm = mix(202, 3.1, 0.8, 1, 0, 12)(t);
  return Math.max(
    0,
    Math.round(burst > 0.35 ? calm + 6 * (burst - 0.35) + 2.4 * wave(203, t, 30_000) : calm),
  );
};
const inFlight = (t: number) => Math.min(ROOM, demand(t));
const queued = (t: number) => Math.max(0, demand(t) - ROOM);

/** `idle`: nothing has passed yet. */
export function trafficSeries({ idle }: { idle: boolean }): FakeSeries[] {
  if (idle) return [];
  const add = (metric: string, label: string, at: (t: number) => number, counter = false): FakeSeries => ({
    metric,
    subject: '',
    label,
    kind: 'plimsoll',
    unit: 'count',
    cadence: 1000,
    counter,
    at,
  });
  return [
    add('gateway.in_flight', 'Requests in flight', inFlight),
    add('gateway.queued', 'Requests queued', queued),
    add('gateway.requests', 'Requests', (t) => 0.3 + 0.1 * demand(t), true),
  ];
}
