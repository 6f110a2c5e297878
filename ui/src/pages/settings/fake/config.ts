// The file, what it says, and its revisions.

import type {
  Changed,
  ConfigView,
  Revision,
  SettingSpec,
  SettingState,
  SettingValue,
} from '../../../lib/bindings';
import { CallError } from '../../../lib/host';
import type { Handlers } from '../../../lib/host/fake';
import { diff, FILE, read, write } from './file';
import { SPECS, STATES } from './table';

const GIB = 2 ** 30;
const DAY = 86_400_000;
/** The one that a variable overrides. */
const LOCKED = { key: 'history.checkpoint_s', variable: 'PLIMSOLL_HISTORY__CHECKPOINT_S', value: 5 };

/** Every setting under a text: what it says, else the default. */
function statesOf(text: string): SettingState[] {
  const { values } = read(text);
  const under = (state: SettingState): SettingState => {
    if (state.key === LOCKED.key)
      return { ...state, value: LOCKED.value, origin: { from: 'environment', variable: LOCKED.variable } };
    const said = values.get(state.key);
    return said ? { ...state, value: said.value, origin: { from: 'file', line: said.line } } : state;
  };
  const own = new Set(
    [...values.keys()].flatMap((key) => /^alerts\.rules\.([a-z0-9-]+)\.metric$/.exec(key)?.[1] ?? []),
  );
  const ofRules = SPECS.filter((s) => s.key.startsWith('alerts.rules.*') && !s.key.endsWith('.floor_gib'));
  const ofOwn = (id: string, spec: SettingSpec): SettingState => {
    // Without a line of its own an alert ends where it begins.
    const threshold = values.get(`alerts.rules.${id}.threshold`)?.value ?? 0;
    const standard = spec.key.endsWith('.clear') ? threshold : spec.default;
    return {
      key: spec.key.replace('*', id),
      spec: spec.key,
      value: standard,
      default: standard,
      origin: { from: 'default' },
    };
  };
  const services = new Set(
    [...values.keys()].flatMap((key) => /^services\.([a-z0-9-]+)\.url$/.exec(key)?.[1] ?? []),
  );
  const ofServices = SPECS.filter((s) => s.key.startsWith('services.*'));
  return [
    ...STATES,
    ...[...own].flatMap((id) => ofRules.map((spec) => ofOwn(id, spec))),
    ...[...services].flatMap((id) => ofServices.map((spec) => ofOwn(id, spec))),
  ].map(under);
}

function revision(number: number, at_ms: number, by: string, ...changed: Changed[]): Revision {
  const lines = changed.flatMap(({ key, old, new: value }): Revision['diff'] => {
    const at = key.lastIndexOf('.');
    const line = (v: SettingValue) => `${key.slice(at + 1)} = ${JSON.stringify(v)}`;
    return [
      { sign: 'context', text: `[${key.slice(0, at)}]`, old_line: 3, new_line: 3 },
      { sign: 'removed', text: line(old), old_line: 4, new_line: null },
      { sign: 'added', text: line(value), old_line: null, new_line: 4 },
    ];
  });
  return { number, at_ms, by, rolled_back_to: null, changed, diff: lines };
}

function pastRevisions(now: number): Revision[] {
  const set = (key: string, old: SettingValue, value: SettingValue): Changed => ({ key, old, new: value });
  return [
    revision(12, now - 16 * 60_000, 'window', set('alerts.rules.vram-free.threshold', GIB, 1.5 * GIB)),
    revision(11, now - 43 * 60_000, 'terminal', set('sampling.processes_ms', 10_000, 5000)),
    revision(
      10,
      now - 1.1 * DAY,
      'file',
      set('alerts.notify', true, false),
      set('alerts.notify_gap_min', 10, 30),
    ),
    {
      ...revision(9, now - 2 * DAY, 'window', set('history.keep.raw_hours', 24, 48)),
      rolled_back_to: 7,
    },
    revision(8, now - 2.2 * DAY, 'browser', set('history.keep.raw_hours', 48, 24)),
    revision(7, now - 6 * DAY, 'window', set('log.level', 'debug', 'info')),
    revision(1, now - 41 * DAY, 'start'),
  ];
}

export function configAnswers(now: number, search: string): Handlers {
  const params = new URLSearchParams(search);
  const theme = params.get('theme');
  let good = theme ? `${FILE}\n[window]\ntheme = "${theme}"\n` : FILE;
  if (params.get('fake') === 'unsought') good += '\n[services]\ndiscover = false\n';
  let text = params.get('fake') === 'broken' ? good.replace('max_mib = 4096', 'max_mib = "4096 MiB"') : good;
  let number = 12;
  const texts = new Map<number, string>([[number, good]]);
  const revisions = pastRevisions(now);
  const digest = () => `d${[...text].reduce((sum, c) => (sum * 31 + c.charCodeAt(0)) | 0, 7)}`;

  const accept = (next: string, by: string, back: number | null = null): Revision => {
    const before = new Map(statesOf(good).map((s) => [s.key, s.value]));
    const changed = statesOf(next).flatMap((s) => {
      const old = before.get(s.key);
      return old !== undefined && JSON.stringify(old) !== JSON.stringify(s.value)
        ? [{ key: s.key, old, new: s.value }]
        : [];
    });
    const made: Revision = {
      number: ++number,
      at_ms: Date.now(),
      by,
      rolled_back_to: back,
      changed,
      diff: diff(text, next),
    };
    text = good = next;
    texts.set(number, next);
    revisions.unshift(made);
    return made;
  };

  return {
    'config.schema': () => SPECS,
    config: (): ConfigView => ({
      path: '/home/mara/.config/plimsoll/plimsoll.toml',
      text,
      revision: number,
      digest: digest(),
      settings: statesOf(good),
      problems: read(text).problems,
    }),
    'config.preview': (edit) => {
      const next = write(edit.text ?? text, edit.changes);
      return {
        text: next,
        diff: diff(text, next),
        problems: read(next).problems,
        restart: edit.changes.map((c) => c.key).filter((key) => SPECS.some((s) => s.key === key && !s.live)),
      };
    },
    'config.apply': (edit) => {
      if (edit.base !== digest())
        throw new CallError({
          code: 'conflict',
          message: 'The file changed since you opened it.',
          hint: 'Look at what changed, then apply again.',
        });
      const next = write(edit.text ?? text, edit.changes);
      const wrong = read(next).problems[0];
      if (wrong) throw new CallError({ code: 'invalid', message: wrong.message, hint: wrong.hint });
      return accept(next, edit.by);
    },
    'config.revisions': () => [...revisions],
    'config.rollback': ({ revision: n, by }) => {
      const then = texts.get(n);
      if (then === undefined)
        throw new CallError({
          code: 'not_found',
          message: `There is no text of revision ${n}.`,
          hint: 'The invented data keeps the newest only.',
        });
      return accept(then, by, n);
    },
    'config.undo': ({ revision: n, by }) => {
      const before = texts.get(n - 1);
      if (n === number && before !== undefined) return accept(before, by, n - 1);
      const taken = revisions.find((revision) => revision.number === n)?.changed ?? [];
      const now = new Map(statesOf(good).map((s) => [s.key, s.value]));
      const other = taken.find((c) => JSON.stringify(now.get(c.key)) !== JSON.stringify(c.new));
      if (taken.length === 0 || other)
        throw new CallError({
          code: 'conflict',
          message: `Revision ${n} cannot be taken back alone: ${other ? `${other.key} was changed again` : 'it changed no setting'}.`,
          hint: 'Nothing was changed.',
        });
      const next = write(
        text,
        taken.map(({ key, old }) => ({ key, value: old })),
      );
      return accept(next, by);
    },
  };
}
