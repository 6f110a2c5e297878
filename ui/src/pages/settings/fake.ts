// Invented answers for `npm run dev` and for tests: settings with a file behind
// them, revisions, storage, log, doctor. Not part of the build.

import type {
  Change,
  ConfigView,
  DiffLine,
  LogEntry,
  Problem,
  Revision,
  SettingSpec,
  SettingState,
  SettingType,
  SettingValue,
} from '../../lib/bindings';
import { CallError } from '../../lib/host';
import type { FakeHost, Handlers } from '../../lib/host/fake';

const GIB = 2 ** 30;
const MIB = 2 ** 20;
const DAY = 86_400_000;

function spec(
  section: string,
  key: string,
  label: string,
  meaning: string,
  accepts: SettingType,
  standard: SettingValue,
  more: Partial<SettingSpec> = {},
): SettingSpec {
  return {
    key,
    section,
    label,
    meaning,
    accepts,
    unit: null,
    default: standard,
    conservative: null,
    aggressive: null,
    live: true,
    ...more,
  };
}
const whole = (min: number, max: number): SettingType => ({ type: 'integer', min, max });
const real = (min: number, max: number): SettingType => ({ type: 'number', min, max });
const on: SettingType = { type: 'switch' };
const one = (...options: string[]): SettingType => ({ type: 'choice', options });
const words = (max_length: number): SettingType => ({ type: 'text', max_length });
const between = (unit: string, conservative: SettingValue, aggressive: SettingValue) => ({
  unit,
  conservative,
  aggressive,
});

const SPECS: SettingSpec[] = [
  spec(
    'Sampling',
    'sampling.interval_ms',
    'Interval',
    'Time between two readings of everything that is cheap to read. A second shows what a model server does to the GPU without costing a percent of a core.',
    whole(500, 10_000),
    1000,
    between('ms', 2000, 500),
  ),
  spec(
    'Sampling',
    'sampling.processes_ms',
    'Process list',
    "Time between two readings of the process list and of who holds VRAM. The driver's list costs milliseconds under a lock that games and decoders feel.",
    whole(2000, 60_000),
    5000,
    between('ms', 10_000, 2000),
  ),
  spec(
    'Sampling',
    'sampling.disk_space_ms',
    'Disk space',
    'Time between two readings of the space on mounted disks.',
    whole(2000, 600_000),
    10_000,
    between('ms', 60_000, 5000),
  ),
  spec(
    'Sampling',
    'sampling.max_series',
    'Most series',
    'Further ones are added up in `other`, counted and alerted.',
    whole(200, 20_000),
    2000,
    between('series', 1000, 5000),
  ),
  spec('GPU and power', 'gpu.enabled', 'Read the GPU', 'Whether the NVIDIA card is read at all.', on, true),
  spec(
    'GPU and power',
    'gpu.nvml_path',
    'NVML library',
    'Path of libnvidia-ml.so where it is in none of the usual places; empty: look for it.',
    { type: 'path' },
    '',
    { live: false },
  ),
  spec(
    'GPU and power',
    'power.price_per_kwh',
    'Price of energy',
    'What a kilowatt hour costs, for the cost beside the energy.',
    real(0, 10),
    0.3,
    { unit: 'per kWh' },
  ),
  spec(
    'GPU and power',
    'power.currency',
    'Currency',
    "The price's currency, as shown beside the cost.",
    words(8),
    'EUR',
  ),
  spec(
    'History',
    'history.enabled',
    'Record',
    'Whether readings are kept on disk. Without it the window shows what is true now and nothing else.',
    on,
    true,
  ),
  spec(
    'History',
    'history.max_mib',
    'Space for history',
    'Most space the history takes. Over it the finest data goes first: every second older than a day, then ten seconds, then a minute.',
    whole(64, 1_048_576),
    4096,
    between('MiB', 1024, 16_384),
  ),
  spec(
    'History',
    'history.keep.raw_hours',
    'Keep every second',
    'How long every single reading is kept. Two days answer "what happened last night".',
    whole(1, 720),
    48,
    between('h', 24, 168),
  ),
  spec(
    'History',
    'history.keep.s10_days',
    'Keep ten seconds',
    'How long minimum, mean and maximum of every ten seconds are kept.',
    whole(1, 365),
    14,
    between('d', 7, 30),
  ),
  spec(
    'History',
    'history.keep.m1_days',
    'Keep minutes',
    'How long minimum, mean and maximum of every minute are kept.',
    whole(2, 1825),
    90,
    between('d', 30, 365),
  ),
  spec(
    'History',
    'history.keep.m15_days',
    'Keep quarters of an hour',
    'Local days are added up from these, and forecasts are made from them.',
    whole(30, 3650),
    1826,
    between('d', 730, 3650),
  ),
  spec(
    'History',
    'history.keep.h1_days',
    'Keep hours',
    'How long hours are kept. They take next to no space.',
    whole(365, 36_500),
    3650,
    between('d', 1826, 7300),
  ),
  spec(
    'History',
    'history.keep.marks_days',
    'Keep marks',
    'How long marks and past alerts are kept.',
    whole(30, 36_500),
    3650,
    between('d', 1826, 7300),
  ),
  spec(
    'History',
    'history.keep.log_days',
    'Keep the log',
    'How long warnings and errors of the log are kept in the database.',
    whole(1, 365),
    30,
    between('d', 7, 90),
  ),
  spec(
    'History',
    'history.checkpoint_s',
    'Write to disk every',
    'What a power cut may lose at most.',
    whole(1, 60),
    10,
    { unit: 's' },
  ),
  spec(
    'Log',
    'log.level',
    'Level',
    'The least severe lines that are written.',
    one('error', 'warn', 'info', 'debug', 'trace'),
    'info',
  ),
  spec(
    'Log',
    'log.modules',
    'Levels by module',
    'Other levels for single modules, each as module=level.',
    { type: 'list', max_items: 32 },
    [],
  ),
  spec('Log', 'log.file_mib', 'Size of a file', 'A log file is put aside at this size.', whole(1, 1024), 16, {
    unit: 'MiB',
  }),
  spec('Alerts', 'alerts.enabled', 'Watch', 'Whether the rules are evaluated at all.', on, true),
  spec(
    'Alerts',
    'alerts.notify',
    'Notify',
    'Whether warnings and critical alerts also appear as desktop notifications.',
    on,
    true,
  ),
  spec(
    'Alerts',
    'alerts.notify_gap_min',
    'At most every',
    'At most one notification for a rule and subject in this time.',
    whole(1, 1440),
    10,
    { unit: 'min' },
  ),
  spec('Alerts', 'alerts.rules.*.enabled', 'On', 'Whether this rule is evaluated.', on, true),
  spec(
    'Alerts',
    'alerts.rules.*.threshold',
    'Threshold',
    'The value past which the alert begins, in the unit of what the rule watches.',
    real(-9e15, 9e15),
    0,
  ),
  spec(
    'Alerts',
    'alerts.rules.*.clear',
    'Ends at',
    'The value at which the alert ends.',
    real(-9e15, 9e15),
    0,
  ),
  spec(
    'Alerts',
    'alerts.rules.*.floor_gib',
    'Or below',
    'Only for disk-space: alerts also when less than this is left.',
    real(0, 1_048_576),
    10,
    { unit: 'GiB' },
  ),
  spec(
    'Alerts',
    'alerts.rules.*.for_s',
    'Holds for',
    'How long it must hold before the alert begins.',
    whole(0, 86_400),
    30,
    { unit: 's' },
  ),
  spec(
    'Alerts',
    'alerts.rules.*.severity',
    'Severity',
    'Info only stands in the list, warning and critical also notify.',
    one('info', 'warning', 'critical'),
    'warning',
  ),
  spec('Alerts', 'alerts.rules.*.metric', 'Metric', "What a rule of one's own watches.", words(64), ''),
  spec(
    'Alerts',
    'alerts.rules.*.below',
    'Below',
    'Alerts below the threshold instead of above it.',
    on,
    false,
  ),
  spec(
    'Alerts',
    'alerts.rules.*.subject',
    'Subject',
    'Only this disk, mount, GPU or process name; empty: each of them.',
    words(128),
    '',
  ),
  spec('Alerts', 'alerts.rules.*.title', 'Title', 'The words shown when it alerts.', words(80), ''),
  spec(
    'Window',
    'window.theme',
    'Theme',
    'Dark, light, or what the desktop says.',
    one('system', 'dark', 'light'),
    'system',
  ),
  spec(
    'Window',
    'window.close',
    'Closing the window',
    'Goes to the tray, ends Plimsoll, or asks.',
    one('tray', 'quit', 'ask'),
    'tray',
  ),
  spec(
    'Window',
    'window.start_at_login',
    'Start at login',
    'Whether Plimsoll starts when you log in.',
    on,
    false,
  ),
];

type Rule = [id: string, threshold: number | null, clear: number | null, for_s: number, severity: string];
const RULES: Rule[] = [
  ['vram-free', 1.5 * GIB, 2 * GIB, 30, 'warning'],
  ['gpu-hot', 5, 8, 10, 'critical'],
  ['gpu-throttle-thermal', null, null, 10, 'warning'],
  ['gpu-throttle-power', null, null, 300, 'info'],
  ['gpu-lost', null, null, 0, 'critical'],
  ['memory-warn', 70, 65, 30, 'warning'],
  ['memory-act', 80, 75, 10, 'critical'],
  ['memory-pressure', 10, 5, 10, 'critical'],
  ['disk-space', 10, 12, 30, 'warning'],
  ['recording-paused', null, null, 0, 'critical'],
  ['source-silent', 30, 30, 0, 'warning'],
  ['self-memory', 512 * MIB, 448 * MIB, 60, 'warning'],
  ['self-lag', 100, 50, 10, 'warning'],
];

const FILE = `# How this workstation is watched.
[sampling]
interval_ms = 1000        # a second

[history]
max_mib = 4096

[history.keep]
# what happened last night
raw_hours = 24

[alerts.rules.vram-free]
threshold = 1610612736.0

[alerts.rules.night-heat]
metric = "gpu.temperature"
threshold = 70.0
title = "Warm at night"
`;

/** Values of a text, line by line: enough of TOML for this file. */
function read(text: string): {
  values: Map<string, { value: SettingValue; line: number }>;
  problems: Problem[];
} {
  const values = new Map<string, { value: SettingValue; line: number }>();
  const problems: Problem[] = [];
  let head = '';
  text.split('\n').forEach((raw, at) => {
    const line = raw.replace(/\s+#[^"]*$/, '').trim();
    const wrong = (column: number, key: string | null, message: string, mend: string | null = null) =>
      problems.push({ line: at + 1, column, key, message, hint: mend ? null : 'Look at the line.', mend });
    if (line === '' || line.startsWith('#')) return;
    const table = /^\[([^\]]+)\]$/.exec(line);
    if (table?.[1]) {
      head = table[1].trim();
      return;
    }
    const pair = /^([\w-]+)\s*=\s*(.+)$/.exec(line);
    if (!pair?.[1] || !pair[2]) return void wrong(1, null, `This is no TOML: ${line}`);
    const key = `${head}.${pair[1]}`;
    const found = SPECS.find((s) =>
      new RegExp(`^${s.key.replaceAll('.', '\\.').replace('*', '[a-z0-9-]+')}$`).test(key),
    );
    if (!found) return void wrong(1, key, `There is no setting ${key}.`);
    let value: unknown;
    try {
      value = JSON.parse(pair[2]);
    } catch {
      return void wrong(raw.indexOf('=') + 3, key, `${key} has no value that TOML knows.`);
    }
    const { accepts } = found;
    if (accepts.type === 'integer' || accepts.type === 'number') {
      const digits = /\d+/.exec(String(value))?.[0];
      if (typeof value !== 'number' || value < accepts.min || value > accepts.max) {
        return void wrong(
          raw.indexOf('=') + 3,
          key,
          `${key} is ${accepts.type === 'integer' ? 'a whole number' : 'a number'}, ${accepts.min} to ${accepts.max}. Found ${typeof value === 'string' ? `the text ${pair[2]}` : pair[2]}.`,
          digits && typeof value === 'string' ? raw.replace(pair[2], digits) : null,
        );
      }
    }
    values.set(key, { value: value as SettingValue, line: at + 1 });
  });
  return { values, problems };
}

function write(text: string, changes: readonly Change[]): string {
  let lines = text.split('\n');
  for (const { key, value } of changes) {
    const head = key.slice(0, key.lastIndexOf('.'));
    const name = key.slice(key.lastIndexOf('.') + 1);
    const start = lines.findIndex((l) => l.trim() === `[${head}]`);
    const end = start < 0 ? -1 : lines.findIndex((l, i) => i > start && l.trim().startsWith('['));
    const last = end < 0 ? lines.length : end;
    const at =
      start < 0 ? -1 : lines.findIndex((l, i) => i > start && i < last && l.trim().startsWith(`${name} `));
    const line = `${name} = ${JSON.stringify(value)}`;
    if (value === null) {
      if (at >= 0) lines = lines.filter((_, i) => i !== at);
    } else if (at >= 0) lines[at] = line + (/(\s+#[^"]*)$/.exec(lines[at] ?? '')?.[1] ?? '');
    else if (start >= 0) lines.splice(start + 1, 0, line);
    else lines.push(`[${head}]`, line, '');
  }
  return lines.join('\n');
}

/** Longest common lines, with two lines of context. */
function diff(before: string, after: string): DiffLine[] {
  const a = before.split('\n');
  const b = after.split('\n');
  const length = Array.from({ length: a.length + 1 }, () => new Array<number>(b.length + 1).fill(0));
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--)
      length[i]![j] =
        a[i] === b[j] ? length[i + 1]![j + 1]! + 1 : Math.max(length[i + 1]![j]!, length[i]![j + 1]!);
  const all: DiffLine[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j])
      all.push({ sign: 'context', text: a[i]!, old_line: ++i, new_line: ++j });
    else if (i < a.length && (j >= b.length || length[i + 1]![j]! >= length[i]![j + 1]!))
      all.push({ sign: 'removed', text: a[i]!, old_line: ++i, new_line: null });
    else all.push({ sign: 'added', text: b[j]!, old_line: null, new_line: ++j });
  }
  return all.filter(
    (line, at) =>
      line.sign !== 'context' || all.slice(Math.max(0, at - 2), at + 3).some((l) => l.sign !== 'context'),
  );
}

/** Adds the answers to a fake door, with the events that follow from them. */
export function furnish(fake: FakeHost, search = location.search): FakeHost {
  if (new URLSearchParams(search).get('fake') === 'down') return fake;
  const {
    'config.apply': apply,
    'config.rollback': rollback,
    ...others
  } = settingsAnswers(Date.now(), search);
  Object.assign(fake.handlers, others);
  const told = <T extends { number: number }>(revision: T): T => {
    setTimeout(() => fake.emit({ event: 'config', revision: revision.number }));
    return revision;
  };
  fake.handlers['config.apply'] = async (edit) => told(await apply!(edit));
  fake.handlers['config.rollback'] = async (ask) => told(await rollback!(ask));
  // A process is known by its pid and when it started: the latter must not move.
  const processes = fake.handlers.processes!;
  const began = Date.now();
  fake.handlers.processes = async (args) => {
    const table = await processes(args);
    return {
      ...table,
      processes: table.processes
        .filter((p) => !ended.has(p.pid))
        .map((p) => ({ ...p, started_ms: began - p.pid * 60_000 })),
    };
  };
  const ended = new Set<number>();
  fake.handlers['processes.end'] = ({ pid, kill }) => {
    // The model server takes its time, as real ones do.
    if (kill || pid !== 4121) ended.add(pid);
    return { message: '' };
  };
  fake.handlers['processes.detail'] = async ({ pid }) => {
    const table = await fake.handlers.processes!({});
    const process = table.processes.find((p) => p.pid === pid);
    if (!process)
      throw new CallError({ code: 'not_found', message: `Process ${pid} has ended.`, hint: null });
    const wobble = (value: number) => process.cpu_trace.map((_, i) => value * (1 + 0.01 * Math.sin(i / 3)));
    return {
      process,
      nice: 0,
      executable: `/usr/bin/${process.name}`,
      parent_name: 'systemd',
      open_files: 41,
      open_files_limit: 1024,
      memory_limit_bytes: process.unit?.startsWith('llama') ? 8 * GIB : null,
      listens: process.unit ? ['127.0.0.1:8080'] : [],
      rss_trace: wobble(process.rss_bytes),
      vram_trace:
        process.vram_bytes === null ? process.cpu_trace.map(() => null) : wobble(process.vram_bytes),
    };
  };
  const job = (id: number, title: string) => {
    let share = 0;
    const timer = setInterval(() => {
      share = Math.min(1, share + 0.04);
      fake.emit({
        event: 'job',
        job: {
          job: id,
          title,
          state: share < 1 ? 'running' : 'done',
          share,
          message: share < 1 ? 'history.db' : '1.8 GiB copied',
        },
      });
      if (share >= 1) clearInterval(timer);
    }, 200);
    fake.handlers['jobs.cancel'] = () => {
      clearInterval(timer);
      fake.emit({
        event: 'job',
        job: { job: id, title, state: 'cancelled', share, message: 'Nothing was changed' },
      });
      return { message: '' };
    };
    return { job: id };
  };
  fake.handlers['storage.backup'] = () => job(3, 'Back up');
  fake.handlers['storage.move'] = () => job(4, 'Move the data');
  return fake;
}

export function settingsAnswers(now: number, search = ''): Handlers {
  const params = new URLSearchParams(search);
  const theme = params.get('theme');
  let text = params.get('fake') === 'broken' ? FILE.replace('max_mib = 4096', 'max_mib = "4096 MiB"') : FILE;
  if (theme) text += `\n[window]\ntheme = "${theme}"\n`;
  let good = theme ? `${FILE}\n[window]\ntheme = "${theme}"\n` : FILE;
  let number = 12;
  const texts = new Map<number, string>([[number, good]]);
  const digest = () => `d${[...text].reduce((sum, c) => (sum * 31 + c.charCodeAt(0)) | 0, 7)}`;

  const states = (from: string): SettingState[] => {
    const { values } = read(from);
    const state = (key: string, of: string, standard: SettingValue): SettingState => {
      const said = values.get(key);
      if (key === 'history.checkpoint_s')
        return {
          key,
          spec: of,
          value: 5,
          default: standard,
          origin: { from: 'environment', variable: 'PLIMSOLL_HISTORY__CHECKPOINT_S' },
        };
      return {
        key,
        spec: of,
        value: said?.value ?? standard,
        default: standard,
        origin: said ? { from: 'file', line: said.line } : { from: 'default' },
      };
    };
    const out = SPECS.filter((s) => !s.key.includes('*')).map((s) => state(s.key, s.key, s.default));
    for (const [id, threshold, clear, for_s, severity] of RULES) {
      const key = (field: string) => [`alerts.rules.${id}.${field}`, `alerts.rules.*.${field}`] as const;
      out.push(
        state(...key('enabled'), true),
        state(...key('for_s'), for_s),
        state(...key('severity'), severity),
      );
      if (threshold !== null && clear !== null)
        out.push(
          state(...key('threshold'), id === 'vram-free' ? GIB : threshold),
          state(...key('clear'), clear),
        );
      if (id === 'disk-space') out.push(state(...key('floor_gib'), 10));
    }
    const own = new Set(
      [...values.keys()].flatMap((k) => /^alerts\.rules\.([a-z0-9-]+)\.metric$/.exec(k)?.[1] ?? []),
    );
    for (const id of own) {
      for (const s of SPECS.filter(
        (s) => s.key.startsWith('alerts.rules.*') && !s.key.endsWith('floor_gib'),
      )) {
        const key = s.key.replace('*', id);
        out.push(
          state(
            key,
            s.key,
            s.key.endsWith('.clear') ? (values.get(`alerts.rules.${id}.threshold`)?.value ?? 0) : s.default,
          ),
        );
      }
    }
    return out;
  };

  const revision = (
    n: number,
    ago: number,
    by: string,
    key: string,
    old: SettingValue,
    now_: SettingValue,
  ): Revision => ({
    number: n,
    at_ms: now - ago,
    by,
    rolled_back_to: null,
    changed: [{ key, old, new: now_ }],
    diff: [
      { sign: 'context', text: `[${key.slice(0, key.lastIndexOf('.'))}]`, old_line: 3, new_line: 3 },
      {
        sign: 'removed',
        text: `${key.split('.').at(-1)} = ${JSON.stringify(old)}`,
        old_line: 4,
        new_line: null,
      },
      {
        sign: 'added',
        text: `${key.split('.').at(-1)} = ${JSON.stringify(now_)}`,
        old_line: null,
        new_line: 4,
      },
    ],
  });
  const revisions: Revision[] = [
    revision(12, 16 * 60_000, 'window', 'alerts.rules.vram-free.threshold', GIB, 1.5 * GIB),
    revision(11, 43 * 60_000, 'terminal', 'sampling.processes_ms', 10_000, 5000),
    {
      ...revision(10, 1.1 * DAY, 'file', 'alerts.notify', true, false),
      changed: [
        { key: 'alerts.notify', old: true, new: false },
        { key: 'alerts.notify_gap_min', old: 10, new: 30 },
      ],
    },
    { ...revision(9, 2 * DAY, 'window', 'history.keep.raw_hours', 24, 48), rolled_back_to: 7 },
    revision(8, 2.2 * DAY, 'browser', 'history.keep.raw_hours', 48, 24),
    revision(7, 6 * DAY, 'window', 'log.level', 'debug', 'info'),
    { ...revision(1, 41 * DAY, 'start', 'a.b', 0, 0), changed: [], diff: [] },
  ];
  const accept = (next: string, by: string, back: number | null = null): Revision => {
    const before = new Map(states(good).map((s) => [s.key, s.value]));
    const changed = states(next).flatMap((s) => {
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

  const log: LogEntry[] = Array.from({ length: 900 }, (_, i) => ({
    at_ms: now - i * 47_000 - (i % 7) * 900,
    level: i % 41 === 7 ? 'error' : i % 13 === 3 ? 'warn' : i % 3 === 0 ? 'debug' : 'info',
    module:
      ['plimsoll_history::seal', 'plimsoll_sense::gpu', 'plimsoll_app::alerts', 'plimsoll_core::config'][
        i % 4
      ] ?? '',
    message:
      i % 41 === 7
        ? 'The GPU did not answer within 2 s; its readings are a gap until it does'
        : i % 13 === 3
          ? 'A source was late'
          : 'Sealed a chunk of ten minutes',
    fields: i % 4 === 0 ? 'series=164 rows=98400 bytes=121880 took_ms=14' : '',
  }));

  const kinds = (): [
    string,
    string,
    number,
    number,
    string,
    number,
    string,
    number | null,
    number | null,
  ][] => [
    ['raw', 'Every second', 0.62 * GIB, 1, 'history.keep.raw_hours', 24, 'h', 12, 0.31 * GIB],
    ['s10', '10 s means', 0.33 * GIB, 14, 'history.keep.s10_days', 14, 'd', 7, 0.17 * GIB],
    ['m1', '1 min means', 0.21 * GIB, 41, 'history.keep.m1_days', 90, 'd', 30, 0.06 * GIB],
    ['m15', '15 min means', 0.06 * GIB, 41, 'history.keep.m15_days', 1826, 'd', null, null],
    ['h1', '1 h means', 0.02 * GIB, 41, 'history.keep.h1_days', 3650, 'd', null, null],
    ['marks', 'Marks and alerts', 0.001 * GIB, 41, 'history.keep.marks_days', 3650, 'd', null, null],
    ['log', 'Log', 0.14 * GIB, 30, 'history.keep.log_days', 30, 'd', 7, 0.1 * GIB],
  ];

  return {
    'config.schema': () => SPECS,
    metrics: () => [
      {
        name: 'gpu.temperature',
        label: 'Temperature',
        subject: 'gpu',
        kind: 'gauge',
        unit: 'celsius',
        resolution: 1,
        cadence: 'tick',
      },
      {
        name: 'gpu.vram.free',
        label: 'VRAM free',
        subject: 'gpu',
        kind: 'gauge',
        unit: 'bytes',
        resolution: 1,
        cadence: 'tick',
      },
      {
        name: 'cpu.busy',
        label: 'CPU busy',
        subject: 'machine',
        kind: 'gauge',
        unit: 'percent',
        resolution: 0.1,
        cadence: 'tick',
      },
    ],
    config: (): ConfigView => ({
      path: '/home/mara/.config/plimsoll/plimsoll.toml',
      text,
      revision: number,
      digest: digest(),
      settings: states(good),
      problems: read(text).problems,
    }),
    'config.preview': (edit) => {
      const next = edit.text ?? write(text, edit.changes);
      return {
        text: next,
        diff: diff(text, next),
        problems: read(next).problems,
        restart: edit.changes.map((c) => c.key).filter((k) => k === 'gpu.nvml_path'),
      };
    },
    'config.apply': (edit) => {
      if (edit.base !== digest())
        throw new CallError({
          code: 'conflict',
          message: 'The file changed since you opened it.',
          hint: 'Look at what changed, then apply again.',
        });
      const next = edit.text ?? write(text, edit.changes);
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
    storage: () => ({
      data_dir: '/home/mara/.local/share/plimsoll-demo',
      total_bytes: kinds().reduce((sum, k) => sum + k[2], 0),
      limit_bytes: 4 * GIB,
      disk_available_bytes: 0.86 * 1024 * GIB,
      kinds: kinds().map(([kind, label, bytes, days, setting, keep, keep_unit, less, less_frees_bytes]) => ({
        kind,
        label,
        bytes,
        oldest_ms: now - days * DAY,
        setting,
        keep,
        keep_unit,
        less,
        less_frees_bytes,
      })),
      set_aside: [],
    }),
    'storage.backup': () => ({ job: 3 }),
    'storage.move': () => ({ job: 4 }),
    'storage.restore': () => ({ message: 'The backup is whole; it takes its place at the next start' }),
    'storage.delete': () => ({ message: 'Deleted 31,204 chunks' }),
    'jobs.cancel': () => ({ message: '' }),
    log: ({ level, contains, before_ms, limit }) => {
      const order = ['error', 'warn', 'info', 'debug', 'trace'];
      return log
        .filter(
          (e) =>
            order.indexOf(e.level) <= order.indexOf(level) && (before_ms === null || e.at_ms < before_ms),
        )
        .filter((e) => `${e.module} ${e.message} ${e.fields}`.includes(contains))
        .slice(0, limit);
    },
    doctor: () => ({
      checks: [
        {
          name: 'NVIDIA driver',
          verdict: 'good',
          finding: 'Driver 560.35 on a GeForce RTX 4090',
          advice: '',
          by_hand: 'nvidia-smi',
        },
        {
          name: 'NVML',
          verdict: 'good',
          finding: 'libnvidia-ml.so.1 in /usr/lib/x86_64-linux-gnu',
          advice: '',
          by_hand: 'ldconfig -p | grep libnvidia-ml',
        },
        {
          name: 'Tray',
          verdict: 'limited',
          finding: 'The desktop shows no tray icons',
          advice: 'Closing the window asks whether to quit. On GNOME, install the AppIndicator extension.',
          by_hand: 'busctl --user list | grep StatusNotifierWatcher',
        },
        { name: 'Open files', verdict: 'good', finding: 'At most 524288', advice: '', by_hand: 'ulimit -n' },
        {
          name: 'Disk',
          verdict: 'good',
          finding: '881 GiB free where the data is kept',
          advice: '',
          by_hand: 'df -h ~/.local/share/plimsoll',
        },
      ],
    }),
    'doctor.bundle': ({ path }) => ({ path, bytes: 182_400 }),
    'alerts.acknowledge': () => ({ message: '' }),
    'alerts.snooze': () => ({ message: '' }),
  };
}
