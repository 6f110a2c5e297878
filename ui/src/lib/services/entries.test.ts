import { expect, it } from 'vitest';

import { rank } from '../palette/match';
import { serviceActions } from './entries';
import { model, run, some } from './testing';

const labels = (...services: Parameters<typeof serviceActions>[0]) =>
  serviceActions(services).map((e) => e.label);

it('adds one, and has found ones watched', () => {
  const ollama = some('ollama', { kind: 'ollama', url: 'http://127.0.0.1:11434', origin: 'proposed' });
  expect(labels(ollama)).toEqual(['Add a service…', 'Watch Ollama :11434']);
});

it('offers what its server lets one do with its models now, and what that frees', () => {
  const whisper = some('whisper', {
    actions: { load: true, unload: true },
    models: [model('large', { vram_bytes: 2.6 * 2 ** 30 }), model('small', { loaded: 'unloaded' })],
  });
  expect(labels(whisper).slice(1)).toEqual(['Unload large, frees 2.60 GiB', 'Load small']);
  expect(labels(some('chat', { models: [model('fixed')] }))).toHaveLength(1);
  const found = rank(serviceActions([whisper]), 'unload whisper', 5);
  expect(found[0]?.label).toContain('Unload large');
});

it('starts and stops what Plimsoll runs; what would be cut off is asked about', () => {
  const slots = { total: 4, busy: 2, waiting: 0, basis: 'told' as const };
  expect(labels(some('a', { run: run({ state: 'stopped' }) })).at(-1)).toBe('Start a');
  expect(labels(some('a', { run: run() })).slice(1)).toEqual(['Stop a', 'Restart a']);
  expect(labels(some('a', { run: run({ state: 'waiting' }) })).slice(1)).toEqual(['Stop a']);
  const busy = serviceActions([some('a', { run: run(), slots })]).at(-1);
  expect(busy?.label).toBe('Restart a…');
  busy?.run();
  expect(location.hash).toBe('#/services/a?do=restart');
  expect(labels(some('a', { run: run({ state: 'stopping' }) }))).toHaveLength(1);
});
