import { expect, it } from 'vitest';

import { offerOf, modelAside, moveTitle, placeWords } from '../../lib/services/moves';
import { freshOf, plainText } from './output';
import { buttonOf, commandLines, cutOff, endsFirst, runAside, runWords } from '../../lib/services/run';
import { model, NO_FIGURES, run, some } from '../../lib/services/testing';

it('one button: start what does not run, stop what does or will', () => {
  expect((['stopped', 'failed'] as const).map(buttonOf)).toEqual(['start', 'start']);
  expect((['waiting', 'starting', 'running', 'restarting'] as const).map(buttonOf)).toEqual(
    Array.from({ length: 4 }, () => 'stop'),
  );
  expect(buttonOf('stopping')).toBeNull();
});

it('says how a process does, and when it starts again', () => {
  const words = (state: Parameters<typeof buttonOf>[0]) => runWords(run({ state, since_ms: 1 }), 60_001);
  expect(words('running')).toBe('runs for 1 min');
  expect(words('restarting')).toBe('ended 1 min ago');
  expect(runWords(run({ state: 'failed', since_ms: 0 }), 1)).toBe('given up');
  expect(runAside(run({ restarts: 3, next_ms: 12_000 }), 3000)).toBe('3 restarts, next in 9 s');
  expect(runAside(run(), 0)).toBe('');
});

it('what stopping cuts off is counted, and unknown is not told as nothing cut off', () => {
  const slots = (busy: number | null, waiting: number | null) =>
    some('x', { slots: { total: 4, busy, waiting, basis: 'told' }, figures: NO_FIGURES });
  expect(cutOff(slots(1, 2))).toBe('It cuts off 1 request that it works on and 2 that wait in it.');
  expect(cutOff(slots(4, 0))).toBe('It cuts off 4 requests that it works on.');
  expect(cutOff(slots(0, 0))).toBeNull();
  expect(endsFirst(slots(0, 0), 30)).toBeNull();
  expect(endsFirst(slots(4, 0), 0)).toBe('It cuts off 4 requests that it works on.');
  expect(endsFirst(slots(4, 0), 30)).toBe(
    'Of 4 requests that it works on, those that came through Plimsoll may end first, for 30 s at most; the rest is cut off.',
  );
});

it('a command stands flag by flag, quoted as a shell would need it', () => {
  const lines = commandLines([
    'llama-server',
    '-m',
    '/models/my model.gguf',
    '-c',
    '32768',
    '-np',
    '4',
    '--temp',
    '-1',
  ]);
  expect(lines[0]).toBe('llama-server');
  expect(lines.join(' ')).toBe("llama-server -m '/models/my model.gguf' -c 32768 -np 4 --temp -1");
  expect(commandLines(["it's"]).join('')).toBe("'it'\\''s'");
  expect(commandLines([])).toEqual([]);
});

it('a model is offered what its server can do now, with the reason where it cannot', () => {
  const actions = { load: true, unload: true };
  const held = model('a', { vram_bytes: 2 ** 30 });
  const cold = model('b', { loaded: 'unloaded' });
  expect(offerOf(some('x', { actions }), held, false)).toEqual({ to: 'unload', why: null });
  expect(offerOf(some('x', { actions }), cold, false)).toEqual({ to: 'load', why: null });
  expect(offerOf(some('x', { actions }), cold, true)?.why).toContain('on its way');
  expect(offerOf(some('x', { actions, state: 'down' }), cold, false)?.why).toContain('does not answer');
  expect(offerOf(some('x', { actions }), model('c', { loaded: 'unknown' }), false)?.why).toContain(
    'not tell',
  );
  const onlyLoad = some('x', { kind: 'ollama', actions: { load: true, unload: false } });
  expect(offerOf(onlyLoad, held, false)?.why).toBe('Ollama cannot unload a model while it runs');
  expect(offerOf(some('x'), held, false)).toBeNull();
  expect(moveTitle(held, 'unload')).toBe('Unload a, frees 1.00 GiB of VRAM');
});

it('where a model lies is said in words, and unknown is not', () => {
  expect(placeWords(model('a', { gpu_share: 1 }), true)).toEqual({ text: '100 % on GPU', fallen: false });
  expect(placeWords(model('a', { gpu_share: 0.36 }), true)).toEqual({ text: '36 % on GPU', fallen: true });
  expect(placeWords(model('a', { gpu_share: 0 }), true)).toEqual({ text: 'on the CPU', fallen: true });
  expect(placeWords(model('a', { loaded: 'unloaded', size_bytes: 1 }), true).text).toBe('on disk');
  expect(placeWords(model('a'), true).text).toBe('');
  expect(placeWords(model('a', { gpu_share: 0 }), false).fallen).toBe(false);
  expect(modelAside(model('a', { loaded: 'loading', quantization: 'Q4_0' }), 0)).toBe('loading, Q4_0');
});

it('counts the lines that are newer than what is read, also where that has gone', () => {
  const line = (number: number, at_ms: number | null = number, text = 'x') => ({ number, at_ms, text });
  const shown = [line(1), line(2)];
  expect(freshOf(shown, [line(1), line(2)])).toBe(0);
  expect(freshOf(shown, [line(2), line(3), line(4)])).toBe(2);
  expect(freshOf(shown, [line(8), line(9)])).toBe(2);
  expect(freshOf([], [line(1)])).toBe(1);
  // Begun anew by another start of Plimsoll.
  expect(freshOf([line(90)], [line(1), line(2)])).toBe(2);
  expect(freshOf(shown, [])).toBe(0);
  expect(plainText([line(1, null, 'old'), line(2, 5, 'new')], (ms) => `t${ms}`)).toBe('old\nt5 new');
});
