// Fifteen minutes after fifteen minutes of lines.

import type { LogEntry } from '../../../lib/bindings';
import type { Handlers } from '../../../lib/host/fake';

const LEVELS = ['error', 'warn', 'info', 'debug', 'trace'];
const MODULES = [
  'plimsoll_history::seal',
  'plimsoll_sense::gpu',
  'plimsoll_app::alerts',
  'plimsoll_core::config',
];

function lines(now: number): LogEntry[] {
  return Array.from({ length: 900 }, (_, i) => ({
    at_ms: now - i * 47_000 - (i % 7) * 900,
    level: i % 41 === 7 ? 'error' : i % 13 === 3 ? 'warn' : i % 3 === 0 ? 'debug' : 'info',
    module: MODULES[i % 4] ?? '',
    message:
      i % 41 === 7
        ? 'The GPU did not answer within 2 s; its readings are a gap until it does'
        : i % 13 === 3
          ? 'A source was late'
          : 'Sealed a chunk of ten minutes',
    fields: i % 4 === 0 ? 'series=164 rows=98400 bytes=121880 took_ms=14' : '',
  }));
}

export function logAnswers(now: number, search: string): Handlers {
  const log = new URLSearchParams(search).get('fake') === 'empty' ? [] : lines(now);
  return {
    log: ({ level, contains, before_ms, limit }) =>
      log
        .filter((e) => LEVELS.indexOf(e.level) <= LEVELS.indexOf(level))
        .filter((e) => before_ms === null || e.at_ms < before_ms)
        .filter((e) => `${e.module} ${e.message} ${e.fields}`.includes(contains))
        .slice(0, limit),
  };
}
