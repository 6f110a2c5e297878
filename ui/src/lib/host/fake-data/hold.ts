// A hold of the invented GPU. By address: `&hold=on`, `freeing`, `restoring`, `lost` begin with one.

import type { Hold, HoldFate, HoldStep, Live } from '../../bindings';
import type { Handlers } from '../fake';
import { GIB } from './noise';

/** So long does one thing take to go or to come back. */
const STEP_MS = 1500;
const MINUTE = 60_000;

const plan = (): HoldStep[] => [
  {
    service: 'whisper',
    model: 'Systran/faster-whisper-large-v3',
    freed: false,
    restored: false,
    trouble: '',
    waits_for: 0,
  },
  { service: 'chat', model: null, freed: false, restored: false, trouble: '', waits_for: 0 },
  {
    service: 'embed',
    model: null,
    freed: false,
    restored: false,
    trouble: 'llama.cpp lets no model go while it runs, and Plimsoll did not start it.',
    waits_for: 0,
  },
];

const SIZES: Readonly<Record<string, number>> = { chat: 15.5 * GIB, whisper: 1.6 * GIB, embed: 1.6 * GIB };

const fates = (): HoldFate[] =>
  plan().map(({ service, model, trouble }) => ({
    service,
    name: service,
    models: model === null ? [] : [model],
    vram_bytes: SIZES[service] ?? null,
    can: trouble === '',
    why: trouble,
  }));

export interface FakeHold {
  answers: Handlers;
  /** Goes on; true where something happened. */
  tick(now: number): boolean;
}

export function fakeHold(start: number, variant: string | null): FakeHold {
  let hold: Hold | null = null;
  let next = Infinity;
  const can = (step: HoldStep) => step.freed || step.trouble === '';
  const begin = (minutes: number, now: number) => {
    hold = {
      state: 'freeing',
      from_ms: now,
      until_ms: now + minutes * MINUTE,
      steps: plan(),
      vram_before_bytes: 20.5 * GIB,
      vram_after_bytes: null,
    };
    next = now + STEP_MS;
    return hold;
  };
  const restore = (now: number) => {
    if (hold) hold = { ...hold, state: 'restoring' };
    next = now + STEP_MS;
  };
  const change = (at: (step: HoldStep) => boolean, how: Partial<HoldStep>) => {
    if (!hold) return false;
    const index = hold.steps.findIndex(at);
    if (index < 0) return false;
    hold = { ...hold, steps: hold.steps.map((s, i) => (i === index ? { ...s, ...how } : s)) };
    return true;
  };
  const held = (): Hold => {
    const begun = begin(60, start - 12 * MINUTE);
    const steps = begun.steps.map((s) => (can(s) ? { ...s, freed: true } : s));
    return (hold = { ...begun, state: 'held', steps, vram_after_bytes: 2.4 * GIB });
  };
  if (variant === 'freeing') begin(60, start);
  else if (variant === 'on') held();
  else if (variant === 'restoring') {
    held();
    restore(start);
  } else if (variant === 'lost') {
    const all = held().steps.map((s) => ({ ...s, restored: s.freed && s.model === null }));
    const steps = all.map((s) =>
      s.freed && !s.restored ? { ...s, trouble: 'It answered 507 when it was to load the model.' } : s,
    );
    hold = { ...held(), state: 'ended', until_ms: start - 4 * MINUTE, steps };
  }
  return {
    answers: {
      hold: ({ minutes }) => {
        const now = Date.now();
        if (hold && hold.state !== 'ended') return (hold = { ...hold, until_ms: now + minutes * MINUTE });
        return begin(minutes, now);
      },
      'hold.plan': fates,
      'hold.show': () => hold,
      'hold.end': () => {
        restore(Date.now());
        return hold as Hold;
      },
    },
    tick(now) {
      if (!hold || hold.state === 'ended') return false;
      if (hold.state === 'held') {
        if (now < hold.until_ms) return false;
        restore(now);
        return true;
      }
      if (now < next) return false;
      next = now + STEP_MS;
      if (hold.state === 'freeing') {
        if (!change((s) => !s.freed && s.trouble === '', { freed: true }))
          hold = { ...hold, state: 'held', vram_after_bytes: 2.4 * GIB };
      } else if (!change((s) => s.freed && !s.restored, { restored: true, trouble: '' }))
        hold = { ...hold, state: 'ended' };
      return true;
    },
  };
}

export const HOLD_NEWS: Live = { event: 'hold' };
