import { expect, it } from 'vitest';

import type { Compared, LimitInfo, MetricSpec, SeriesInfo } from '../../lib/bindings';
import { apart } from '../../lib/chart/load';
import { drawnOf, heightOf, loadOf, roomOf, valueOf } from './chart';
import { nextLookMs, pairOf } from './compare';
import { brief, firstSentence, unsaid } from './view';

const limit = (more: Partial<LimitInfo> = {}): LimitInfo => ({
  key: 'gateway.queue.wait_s',
  group: 'queue',
  title: 'Longest wait',
  meaning: 'How long a request waits.',
  of: null,
  accepts: { type: 'integer', min: 1, max: 3600 },
  unit: 's',
  default: 60,
  value: 60,
  origin: { from: 'default' },
  in_force: null,
  in_force_why: '',
  lock: null,
  conservative: 15,
  balanced: 60,
  aggressive: 600,
  slider: { min: 1, max: 1200, step: 1, log: true },
  chart: {
    series: [{ metric: 'gateway.wait', subject: '' }],
    stacked: false,
    scale: 1000,
    floor: false,
    filled: false,
  },
  stop: null,
  takes_hold: { when: 'live' },
  ...more,
});
const info = (metric: string, subject: string, more: Partial<SeriesInfo> = {}): SeriesInfo => ({
  key: { metric, subject },
  label: 'Gateway in flight',
  subject_kind: 'service',
  kind: 'gauge',
  unit: 'count',
  cadence_ms: 1000,
  last_ms: null,
  last: null,
  ...more,
});

it('a line stands where its number is in the unit of the chart, and a height leads back to it', () => {
  expect(heightOf(limit(), 60)).toBe(60_000);
  expect(valueOf(limit(), 30_000)).toBe(30);
  expect(loadOf(limit(), 20_000, null, true)).toMatchObject({
    value: 60_000,
    label: '60 s today',
    state: 'ok',
  });
  expect(loadOf(limit(), 58_000, null, false)).toMatchObject({ label: '60 s', state: 'near' });
});

it('a word is drawn at the number that holds, and 0 that means any number is no line', () => {
  const auto = limit({
    unit: 'requests',
    value: 'auto',
    in_force: 4,
    chart: { ...limit().chart!, scale: 1, filled: true },
  });
  expect(loadOf(auto, 4, null, false)).toMatchObject({ value: 4, label: '4', state: 'ok', meant: true });
  expect(heightOf(limit({ meaning: 'Most of it; 0: any number.' }), 0)).toBeNull();
  expect(heightOf(limit({ meaning: 'Most of it; 0: none waits.' }), 0)).toBe(0);
});

it('an axis ends a little above its lines, where a round end would be far off', () => {
  expect(roomOf([1000, 4], 'count')).toBeCloseTo(1150);
  expect(roomOf([4], 'count')).toBeNull();
});

it('a chart takes the series of its own subject, and what is not recorded yet has its name and unit', () => {
  const key = { metric: 'gateway.service.in_flight', subject: 'chat' };
  const of = limit({ chart: { ...limit().chart!, series: [key] } });
  const others = [info(key.metric, 'embed'), info(key.metric, 'chat')];
  expect(drawnOf(of, others)[0]).toMatchObject({ key, name: 'In flight, chat', color: '--s1' });
  const spec: MetricSpec = {
    name: 'gateway.wait',
    label: 'Gateway wait in the queue',
    subject: 'plimsoll',
    kind: 'histogram',
    unit: 'milliseconds',
    resolution: 1,
    cadence: 'tick',
  };
  const [none] = drawnOf(limit(), [], new Map([[spec.name, spec]]));
  expect(none).toMatchObject({ info: null, name: 'Wait in the queue', unit: 'milliseconds' });
});

it('what all effects have in common is said once', () => {
  const all = 'Sent through once more from 05:31 to 05:53. Gates hold nobody back in it.';
  expect(unsaid(all, all)).toBe('');
  expect(unsaid('Sent through once more from 05:21 to 05:53. Gates hold nobody back in it.', all)).toBe(
    'Sent through once more from 05:21 to 05:53.',
  );
  expect(unsaid(all, '')).toBe(all);
});

it('words at the end of lines keep apart, and stay above the ground', () => {
  expect(apart([40, 44], 100)).toEqual([40, 53]);
  expect(apart([44, 40], 100)).toEqual([53, 40]);
  const [a, b, c] = apart([98, 99, 100], 100) as [number, number, number];
  expect(c).toBeLessThanOrEqual(100);
  expect(b).toBeLessThanOrEqual(c - 13);
  expect(a).toBeLessThanOrEqual(b - 13);
});

it('a comparison draws both intervals on one scale, and none where one is not known', () => {
  const figure: Compared = {
    figure: 'ttft_p95',
    title: 'TTFT p95',
    unit: 'ms',
    before_count: 100,
    after_count: 100,
    before: { value: 612, low: 600, high: 624 },
    after: { value: 740, low: 700, high: 780 },
    difference: null,
    verdict: 'clearly_worse',
    text: '',
    why: '',
  };
  const pair = pairOf(figure);
  expect([pair.before, pair.after, pair.spans]).toEqual(['612', '740', '600 to 624 ms, then 700 to 780 ms']);
  const [before, after] = pair.drawn ?? [];
  expect(before?.low).toBeLessThan(before?.high ?? 0);
  expect(before?.high).toBeLessThan(after?.low ?? 0);
  expect(pair.ends).toEqual(['600', '780']);
  expect(pairOf({ ...figure, after: null }).drawn).toBeNull();
});

it('a young revision is looked at again within seconds', () => {
  expect(nextLookMs(0)).toBeLessThanOrEqual(5_000);
  expect(nextLookMs(-2_000)).toBeLessThanOrEqual(5_000);
  expect(nextLookMs(3_600_000)).toBe(60_000);
});

it('of how an effect is known the first sentence stands there, figures and all', () => {
  expect(firstSentence('It took 1.6 s, as recorded. Gates hold nobody back in it.')).toBe(
    'It took 1.6 s, as recorded.',
  );
  expect(firstSentence('')).toBe('');
});

it('a meaning is told in as many whole sentences as fit, and in one at least', () => {
  expect(brief('One. Two words. Three.', 14)).toBe('One.');
  expect(brief('One. Two words. Three.', 15)).toBe('One. Two words.');
  expect(brief('A sentence that is longer than all the room. Two.', 10)).toBe(
    'A sentence that is longer than all the room.',
  );
  expect(brief('')).toBe('');
});
