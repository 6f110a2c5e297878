// Every figure of one request, in the order in which they are read. Pure.

import { digits3, millis, signed } from '../../lib/format';
import { isLive, type Item } from './list.svelte';
import { speedOf, type Line } from './timeline';
import { ENDPOINTS } from './words';

export interface Figure {
  label: string;
  /** `null`: it is not known. */
  value: string | null;
  unit?: string;
  title?: string;
}

/** Milliseconds to three digits; below ten with their decimals: Plimsoll's own time is that short. */
function time(label: string, us: number | null, title?: string): Figure {
  if (us === null) return { label, value: null, unit: 'ms', title };
  const ms = us / 1000;
  if (us === 0) return { label, value: '0', unit: 'ms', title };
  if (ms < 9.95) return { label, value: signed(ms, ms < 1 ? 2 : 1), unit: 'ms', title };
  const { value, unit } = millis(ms);
  return { label, value, unit, title };
}

const number = (label: string, value: number | null, unit = '', title?: string): Figure => ({
  label,
  value: value === null ? null : value.toLocaleString('en-US'),
  unit,
  title,
});
const word = (label: string, value: string | null, title?: string): Figure => ({ label, value, title });

export function figuresOf(r: Item, line: Line): Figure[] {
  const live = isLive(r);
  const first = r.ttft_us === null ? null : r.ttft_us / 1000;
  const speed = speedOf(r.tokens_out, first, line.total);
  const list: Figure[] = [
    word('Asked for', r.model || 'no model named'),
    ...(!live && r.sent_model !== null ? [word('Sent as', r.sent_model)] : []),
    ...(!live && r.route !== null ? [word('Route', r.route, 'The rule in gateway.routes')] : []),
    word('Backend', r.backend ?? (live ? 'none yet' : 'none')),
    word('Kind', `${ENDPOINTS[r.endpoint]}${r.stream ? ', streamed' : ', in one piece'}`),
    word('Priority', r.priority),
    time('Wait', r.wait_us, 'In Plimsoll’s queue'),
    time('Overhead', r.overhead_us, 'Plimsoll’s own time, apart from waiting and from the backend’s'),
    ...(r.stream || first !== null
      ? [time(r.stream ? 'First token' : 'First byte', r.ttft_us, 'Since it came, waiting included')]
      : []),
  ];
  if (!live && r.stream) {
    list.push(
      time('Between tokens', r.itl_p50_us, 'The median time between two tokens'),
      time('ITL p95', r.itl_p95_us, '95 of 100 tokens came at least as fast'),
    );
  }
  list.push(
    time('Total', line.total * 1000),
    number(
      'Tokens in',
      r.tokens_in,
      '',
      live ? 'Estimated until the backend tells it' : 'As the backend counted them',
    ),
    number('Tokens out', r.tokens_out),
    { label: 'Speed', value: speed === null ? null : digits3(speed), unit: 'tok/s' },
  );
  if (live) {
    list.push(number('At most', r.max_tokens, 'tokens'));
  } else {
    list.push(
      {
        label: 'Energy',
        value: r.joules === null ? null : digits3(r.joules),
        unit: 'J',
        title: 'Its share of the card’s energy while it ran',
      },
      word('Status', r.status === 0 ? 'none was sent' : String(r.status)),
    );
    if (r.shared !== null)
      list.push(word('Shared', r.shared === 'hit' ? 'from the cache' : 'with the same request under way'));
  }
  list.push(number('Asked again', r.retries, r.retries === 1 ? 'time' : 'times'), {
    label: 'Number',
    value: String(r.id),
    unit: '',
  });
  return list;
}
