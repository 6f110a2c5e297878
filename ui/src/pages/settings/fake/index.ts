// Invented answers for `npm run dev` and for tests: real settings with an invented
// file behind them, storage, log, doctor. Not part of the build.

import type { MetricSpec, SubjectKind, Unit } from '../../../lib/bindings';
import type { FakeHost, Handlers } from '../../../lib/host/fake';
import { configAnswers } from './config';
import { doctorAnswers } from './doctor';
import { logAnswers } from './log';
import { furnishJobs, storageAnswers } from './storage';

const metric = (
  name: string,
  label: string,
  subject: SubjectKind,
  unit: Unit,
  resolution: number,
): MetricSpec => ({ name, label, subject, kind: 'gauge', unit, resolution, cadence: 'tick' });

const METRICS = [
  metric('gpu.temperature', 'Temperature', 'gpu', 'celsius', 1),
  metric('gpu.vram.free', 'VRAM free', 'gpu', 'bytes', 1),
  metric('cpu.busy', 'CPU busy', 'machine', 'percent', 0.1),
];

/** `search` is the address's: `?fake=broken`, `?fake=conflict`, `?fake=trouble`, `?fake=empty`. */
export function settingsAnswers(now: number, search = ''): Handlers {
  return {
    metrics: () => METRICS,
    ...configAnswers(now, search),
    ...storageAnswers(now, search),
    ...logAnswers(now, search),
    ...doctorAnswers,
  };
}

/** Adds the answers to a fake door, with the events that follow from them. */
export function furnish(fake: FakeHost, search = location.search): FakeHost {
  const variant = new URLSearchParams(search).get('fake');
  if (variant === 'down') {
    // Nothing answers, as for all that the machine is asked.
    for (const name of Object.keys(settingsAnswers(0, search)) as (keyof Handlers)[])
      fake.handlers[name] = fake.handlers.status as never;
    return fake;
  }
  const {
    'config.apply': apply,
    'config.rollback': rollback,
    'config.undo': undo,
    ...others
  } = settingsAnswers(Date.now(), search);
  Object.assign(fake.handlers, others);
  const told = <T extends { number: number }>(revision: T): T => {
    setTimeout(() => fake.emit({ event: 'config', revision: revision.number }));
    return revision;
  };
  fake.handlers['config.apply'] = async (edit) => told(await apply!(edit));
  fake.handlers['config.rollback'] = async (ask) => told(await rollback!(ask));
  fake.handlers['config.undo'] = async (ask) => told(await undo!(ask));
  if (variant === 'conflict') changeUnderDraft(fake, apply!);
  furnishJobs(fake, search);
  return fake;
}

/** Somebody else writes the file, a second after a draft was begun. */
function changeUnderDraft(fake: FakeHost, apply: NonNullable<Handlers['config.apply']>): void {
  const preview = fake.handlers['config.preview']!;
  const config = fake.handlers.config!;
  let begun = false;
  fake.handlers['config.preview'] = (edit) => {
    if (!begun) {
      begun = true;
      setTimeout(async () => {
        const { digest } = await config({});
        const changes = [{ key: 'sampling.processes_ms', value: 8000 }];
        const { number } = await apply({ base: digest, changes, text: null, by: 'file' });
        fake.emit({ event: 'config', revision: number });
      }, 1000);
    }
    return preview(edit);
  };
}
