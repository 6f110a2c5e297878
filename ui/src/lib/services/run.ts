// A service that Plimsoll starts itself, in words, and what can be done with it now. Pure.

import type { RunState, Service } from '../bindings';
import { plural, span } from '../format';
import { amount } from './words';

type Run = NonNullable<Service['run']>;

/** `runs for 46 min`, `ended 3 min ago`. */
export function runWords({ state, since_ms }: Pick<Run, 'state' | 'since_ms'>, now: number): string {
  const long = since_ms > 0 ? span(Math.max(0, now - since_ms)) : null;
  const during = long === null ? '' : ` for ${long}`;
  const ago = long === null ? '' : ` ${long} ago`;
  switch (state) {
    case 'running':
      return `runs${during}`;
    case 'stopped':
      return `stopped${ago}`;
    case 'waiting':
      return `waits${during}`;
    case 'starting':
      return `started${ago}`;
    case 'stopping':
      return `is being stopped${during}`;
    case 'restarting':
      return `ended${ago}`;
    case 'failed':
      return `given up${ago}`;
  }
}

/** What the one button does; `null` while neither makes sense. */
export function buttonOf(state: RunState): 'start' | 'stop' | null {
  switch (state) {
    case 'stopped':
    case 'failed':
      return 'start';
    case 'stopping':
      return null;
    default:
      return 'stop';
  }
}

/** `3 restarts, next in 9 s`; empty where nothing is to be told. */
export function runAside(run: Pick<Run, 'restarts' | 'next_ms'>, now: number): string {
  const left = run.next_ms === null ? 0 : run.next_ms - now;
  const parts = [
    run.restarts > 0 ? plural(run.restarts, 'restart') : '',
    run.next_ms === null ? '' : left < 1000 ? 'next now' : `next in ${span(left)}`,
  ];
  return parts.filter(Boolean).join(', ');
}

/** What stopping it cuts off; `null` where nothing that is known of. */
export function cutOff(service: Pick<Service, 'slots' | 'figures'>): string | null {
  const busy = service.slots?.busy ?? service.figures.running ?? 0;
  const waiting = service.slots?.waiting ?? service.figures.waiting ?? 0;
  if (busy + waiting <= 0) return null;
  const parts = [
    busy > 0 ? `${plural(busy, 'request')} that it works on` : '',
    waiting > 0 ? `${amount(waiting)} that ${waiting === 1 ? 'waits' : 'wait'} in it` : '',
  ].filter(Boolean);
  return `It cuts off ${parts.join(' and ')}.`;
}

/** The same where those that came through Plimsoll may end first, for so many seconds at most. */
export function endsFirst(service: Pick<Service, 'slots' | 'figures'>, drainS: number): string | null {
  const cut = cutOff(service);
  if (cut === null || drainS <= 0) return cut;
  const what = cut.replace(/^It cuts off /, 'Of ').replace(/\.$/, '');
  return `${what}, those that came through Plimsoll may end first, for ${span(drainS * 1000)} at most; the rest is cut off.`;
}

/** Program and arguments as a shell would take them, one flag a line. */
export function commandLines(command: readonly string[]): string[] {
  const quoted = command.map((part) =>
    /^[\w@%+=:,./-]+$/.test(part) ? part : `'${part.replaceAll("'", `'\\''`)}'`,
  );
  const lines: string[] = [];
  quoted.forEach((part, i) => {
    // A flag begins a line; its value and what has no flag stay on it.
    if (i === 0 || (part.startsWith('-') && !/^-\d/.test(part))) lines.push(part);
    else lines[lines.length - 1] += ` ${part}`;
  });
  // Short flags go together as long as they fit.
  return lines.reduce<string[]>((out, line, i) => {
    const last = out.length - 1;
    if (i > 1 && last > 0 && `${out[last]} ${line}`.length <= 44) out[last] += ` ${line}`;
    else out.push(line);
    return out;
  }, []);
}
