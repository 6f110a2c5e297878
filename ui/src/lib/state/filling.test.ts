import { afterEach, beforeEach, expect, it } from 'vitest';

import type { About, JobProgress, Live } from '../bindings';
import { Trace } from '../chart/columns';
import { useHost } from '../host';
import { fakeHost, type FakeHost } from '../host/fake';
import { filling } from './filling.svelte';
import { live } from './live.svelte';
import { session } from './session.svelte';

const VIEW = { from: 0, to: 100_000 };
const job = (more: Partial<JobProgress> = {}): JobProgress => ({
  job: 1,
  title: "The demo's first day",
  state: 'running',
  share: 0.34,
  message: '',
  ...more,
});
const news = (more?: Partial<JobProgress>): Live => ({ event: 'job', job: job(more) });
const trace = (at: number[]) => {
  const values = at.map(() => 1);
  return new Trace({ at, min: values, mean: values, max: values }, 1000, 1000);
};
const settle = () => new Promise((done) => setTimeout(done, 5));

let host: FakeHost;
let stops: (() => void)[];
beforeEach(async () => {
  host = fakeHost({ jobs: () => [job()] });
  useHost(host);
  session.about = { simulated: true } as About;
  stops = [live.start(), live.want(['cpu.']), filling.use()];
  await settle();
});
afterEach(() => {
  stops.forEach((stop) => stop());
  session.about = null;
});

it('what the demo has not written yet is named, up to the first point there is', async () => {
  expect(filling.words).toBe('being simulated');
  expect(filling.span([trace([60_000, 61_000]), trace([70_000])], VIEW)).toEqual({ from: 0, to: 60_000 });
  expect(filling.span([trace([])], VIEW)).toEqual(VIEW);
  expect(filling.span([trace([0, 1000])], VIEW)).toBeNull();
  host.emit(news({ state: 'done', share: 1 }));
  expect(filling.words).toBeNull();
  expect(filling.span([trace([60_000])], VIEW)).toBeNull();
});

it('other work, and a machine that is measured, say nothing', () => {
  host.emit(news({ state: 'done' }));
  host.emit(news({ job: 2, title: 'Backup' }));
  expect(filling.words).toBeNull();
  host.emit(news());
  session.about = { simulated: false } as About;
  expect(filling.words).toBeNull();
});
