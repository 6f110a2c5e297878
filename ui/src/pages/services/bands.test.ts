import { expect, it } from 'vitest';

import type { Mark } from '../../lib/bindings';
import { bandsOf, bandWords, toldSpans, stateTold, stoppedSpan, withStopped, type Band } from './bands';
import { run, some } from '../../lib/services/testing';

const view = { from: 0, to: 100 };
const columns = (points: [at: number, up: number | null][]) => ({
  at: points.map(([at]) => at),
  min: points.map(([, up]) => up),
  mean: points.map(([, up]) => up),
  max: points.map(([, up]) => up),
});
const mark = (at_ms: number, title: string, subject = 'a'): Mark => ({
  id: at_ms,
  at_ms,
  end_ms: null,
  kind: 'service',
  subject,
  title,
  detail: '',
  reference: `service:${subject}`,
});
const none = { degraded: [], starting: [] };
const short = (bands: ReturnType<typeof bandsOf>) => bands.map((b) => `${b.state} ${b.from}-${b.to}`);

it('neighbours of one state are one band, and any moment down is shown', () => {
  const points = columns([
    [0, 1],
    [10, 1],
    [20, 0.9],
    [30, 1],
  ]);
  expect(short(bandsOf(points, 10, [], none, { from: 0, to: 40 }))).toEqual([
    'healthy 0-20',
    'down 20-30',
    'healthy 30-40',
  ]);
});

it('a gap is neither up nor down, in the middle and at the end', () => {
  const points = columns([
    [0, 1],
    [10, 1],
    [20, null],
    [60, 1],
  ]);
  const gaps = [
    { from: 20, to: 60 },
    { from: 70, to: 100 },
  ];
  expect(short(bandsOf(points, 10, gaps, none, view))).toEqual([
    'healthy 0-20',
    'gap 20-60',
    'healthy 60-70',
    'gap 70-100',
  ]);
  expect(bandsOf(columns([]), 10, [], none, view)).toEqual([]);
});

it('marks say when it served badly, and being down goes before', () => {
  const points = columns([
    [0, 1],
    [50, 0],
    [60, 1],
  ]);
  expect(
    short(bandsOf(points, 10, [], { ...none, degraded: [{ from: 30, to: 70 }] }, { from: 0, to: 70 })),
  ).toEqual(['healthy 0-30', 'degraded 30-50', 'down 50-60', 'degraded 60-70']);
});

it('reads the state from a mark as it is written', () => {
  // As `the_sentence_of_a_change_says_which_state_began` in crates/services/src/state.rs has them.
  expect(stateTold(mark(1, 'chat is up again after 3 min'))).toBe('healthy');
  expect(stateTold(mark(1, 'chat is healthy'))).toBe('healthy');
  expect(stateTold(mark(1, 'chat is degraded: wants a key'))).toBe('degraded');
  expect(stateTold(mark(1, 'chat is degraded'))).toBe('degraded');
  expect(stateTold(mark(1, 'chat is down: refused on :1'))).toBe('down');
  expect(stateTold(mark(1, 'chat is starting: Loading model'))).toBe('starting');
  expect(stateTold({ kind: 'restart', title: 'a started again' })).toBeNull();
});

it('degraded lasts from its mark to the next, of this service only', () => {
  const marks = [mark(20, 'a is degraded: slow'), mark(40, 'a is healthy'), mark(30, 'b is healthy', 'b')];
  expect(toldSpans(marks, some('a'), view).degraded).toEqual([{ from: 20, to: 40 }]);
});

it('degraded that began before the range is known by its end, or by how it is now', () => {
  expect(toldSpans([mark(40, 'a is healthy')], some('a'), view).degraded).toEqual([{ from: 0, to: 40 }]);
  // Up again after being down: it was not degraded before.
  expect(toldSpans([mark(40, 'a is up again after 3 s')], some('a'), view).degraded).toEqual([]);
  const now = some('a', { state: 'degraded', since_ms: -50 });
  expect(toldSpans([], now, view).degraded).toEqual([view]);
  expect(toldSpans([], some('a', { state: 'degraded', since_ms: 60 }), view).degraded).toEqual([
    { from: 60, to: 100 },
  ]);
});

it('what does not serve yet is starting, and down only where it said no more', () => {
  const points = columns([
    [0, 0],
    [10, 0],
    [20, 1],
    [50, 0],
  ]);
  const told = toldSpans(
    [mark(0, 'a is starting: Loading model'), mark(20, 'a is healthy'), mark(50, 'a is down: refused')],
    some('a', { state: 'down', since_ms: 50 }),
    view,
  );
  const bands = bandsOf(points, 10, [], told, view);
  expect(short(bands)).toEqual(['starting 0-20', 'healthy 20-50', 'down 50-60']);
  expect(bandWords(bands)).toBe('starting once, down once');
  // That it was healthy in the end says how it began.
  const late = toldSpans([mark(20, 'a is healthy')], some('a'), view);
  expect(short(bandsOf(points, 10, [], late, view))[0]).toBe('starting 0-20');
  const long = toldSpans([mark(20, 'a is down: has been loading for 10 min')], some('a'), view);
  expect(short(bandsOf(points, 10, [], long, view))[0]).toBe('starting 0-20');
});

it('says in words what the bar shows', () => {
  const points = columns([
    [0, 1],
    [50, 0],
  ]);
  expect(bandWords(bandsOf(points, 50, [], none, view))).toBe('down once');
  expect(bandWords(bandsOf(columns([[0, 1]]), 100, [], none, view))).toBe('healthy throughout');
  expect(bandWords([])).toBe('no data');
});

it('while a person has it stopped it is not down', () => {
  const down: Band[] = [
    { from: 0, to: 100, state: 'healthy' },
    { from: 100, to: 400, state: 'down' },
  ];
  const service = some('x', { state: 'down', run: run({ state: 'stopped', since_ms: 150 }) });
  const view = { from: 0, to: 400 };
  expect(withStopped(down, stoppedSpan(service, view, 390))).toEqual([
    { from: 0, to: 100, state: 'healthy' },
    { from: 100, to: 150, state: 'down' },
    { from: 150, to: 390, state: 'stopped' },
  ]);
  expect(stoppedSpan(some('x', { state: 'down', run: run({ state: 'failed' }) }), view, 390)).toBeNull();
  expect(stoppedSpan(some('x', { state: 'down' }), view, 390)).toBeNull();
  expect(withStopped(down, null)).toEqual(down);
});
