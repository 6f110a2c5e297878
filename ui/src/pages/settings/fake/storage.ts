// What history holds, and long work on it.

import type { JobState, StorageKind } from '../../../lib/bindings';
import type { FakeHost, Handlers } from '../../../lib/host/fake';

const GIB = 2 ** 30;
const DAY = 86_400_000;

type Kind = [
  kind: string,
  label: string,
  gib: number,
  days: number,
  setting: string,
  keep: number,
  keep_unit: string,
  less: number | null,
  less_frees_gib: number | null,
];
const KINDS: Kind[] = [
  ['raw', 'Every second', 0.62, 1, 'raw_hours', 24, 'h', 12, 0.31],
  ['s10', '10 s means', 0.33, 14, 's10_days', 14, 'd', 7, 0.17],
  ['m1', '1 min means', 0.21, 41, 'm1_days', 90, 'd', 30, 0.06],
  ['m15', '15 min means', 0.06, 41, 'm15_days', 1826, 'd', null, null],
  ['h1', '1 h means', 0.02, 41, 'h1_days', 3650, 'd', null, null],
  ['marks', 'Marks and alerts', 0.001, 41, 'marks_days', 3650, 'd', null, null],
  ['log', 'Log', 0.14, 30, 'log_days', 30, 'd', 7, 0.1],
  ['requests', 'Requests', 0.05, 12, 'requests_days', 30, 'd', null, null],
];

function kinds(now: number, empty: boolean): StorageKind[] {
  return KINDS.map(([kind, label, gib, days, setting, keep, keep_unit, less, frees]) => ({
    kind,
    label,
    bytes: empty ? 0 : gib * GIB,
    oldest_ms: empty ? null : now - days * DAY,
    setting: `history.keep.${setting}`,
    keep,
    keep_unit,
    less: empty ? null : less,
    less_frees_bytes: empty || frees === null ? null : frees * GIB,
  }));
}

export function storageAnswers(now: number, search: string): Handlers {
  const variant = new URLSearchParams(search).get('fake');
  return {
    storage: () => {
      const held = kinds(now, variant === 'empty');
      return {
        data_dir: '/home/mara/.local/share/plimsoll-demo',
        total_bytes: held.reduce((sum, kind) => sum + kind.bytes, 0),
        limit_bytes: 4 * GIB,
        disk_available_bytes: variant === 'trouble' ? 0.02 * GIB : 881 * GIB,
        kinds: held,
        set_aside:
          variant === 'trouble'
            ? ['/home/mara/.local/share/plimsoll-demo/history.db.damaged-2026-11-16T21-04-11']
            : [],
      };
    },
    'storage.backup': () => ({ job: 3 }),
    'storage.move': () => ({ job: 4 }),
    'storage.restore': () => ({ message: 'The backup is whole; it takes its place at the next start' }),
    'storage.delete': () => ({ message: 'Deleted 31,204 chunks' }),
  };
}

/** Backup and move take seconds and can be cancelled; in trouble they fail half-way. */
export function furnishJobs(fake: FakeHost, search: string): void {
  const fails = new URLSearchParams(search).get('fake') === 'trouble';
  const begin = (job: number, title: string) => {
    let share = 0;
    const tell = (state: JobState, message: string) =>
      fake.emit({ event: 'job', job: { job, title, state, share, message } });
    const timer = setInterval(() => {
      share = Math.min(1, share + 0.04);
      if (fails && share > 0.5) tell('failed', 'No space is left on /mnt/backup; nothing was changed.');
      else if (share < 1) tell('running', 'history.db');
      else tell('done', '1.8 GiB copied');
      if (share >= 1 || (fails && share > 0.5)) clearInterval(timer);
    }, 200);
    const others = fake.handlers['jobs.cancel'];
    fake.handlers['jobs.cancel'] = (ask) => {
      if (ask.job !== job && others) return others(ask);
      clearInterval(timer);
      tell('cancelled', 'Nothing was changed');
      return { message: '' };
    };
    return { job };
  };
  fake.handlers['storage.backup'] = () => begin(3, 'Back up');
  fake.handlers['storage.move'] = () => begin(4, 'Move the data');
}
