import { expect, it } from 'vitest';

import { queueCells, poolsOf } from './pools';
import { backend, flying, row, T0, trafficOf } from './testing';
import { noteOf, outsideOf, slotsOf, stateOf, storyOf, troubleOf } from './words';

it('a breaker says what it does next', () => {
  const breaker = { state: 'rejecting', since_ms: T0, reason: 'x', probe_ms: T0 + 18_000 } as const;
  expect(storyOf(backend('laptop', { breaker }), T0)).toEqual({
    state: 'danger',
    tag: 'Rejecting',
    words: 'next probe in 18 s',
  });
  const probing = backend('sandbox', { breaker: { ...breaker, state: 'probing' }, queued: 3 });
  expect(storyOf(probing, T0)).toMatchObject({ state: 'warn', tag: 'Probing', words: '1 probe out, 3 wait' });
  const silent = backend('whisper', { story: [] });
  expect(storyOf(silent, T0)).toMatchObject({ tag: 'Passing', words: 'no requests' });
  expect(storyOf(backend('chat', { up: false }), T0)).toMatchObject({ state: 'danger', tag: 'Down' });
});

it('requests that went around Plimsoll are said with their service; unknown is not none', () => {
  expect(outsideOf([backend('embed', { outside: 3 })])).toBe(
    '3 running requests did not come through Plimsoll (embed)',
  );
  expect(outsideOf([backend('a', { outside: 1 }), backend('b', { outside: 1 })])).toBe(
    '2 running requests did not come through Plimsoll',
  );
  expect(outsideOf([backend('vllm', { outside: null })])).toBe('');
});

it('the load line is what may run on those that are asked; one without a limit has no line', () => {
  const idle = [{ answered: 0, failed: 0, refused: 0 }];
  expect(slotsOf([backend('chat'), backend('embed', { room: 8, story: idle })], 512)).toBe(4);
  expect(slotsOf([backend('chat', { story: idle }), backend('embed', { room: 8, story: idle })], 512)).toBe(
    12,
  );
  expect(slotsOf([backend('chat'), backend('vllm', { room: null })], 512)).toBeNull();
  expect(slotsOf([backend('chat', { room: 900 })], 512)).toBe(512);
  expect(slotsOf([], 512)).toBeNull();
});

it('a state is one word, and bad ends are told from good ones', () => {
  expect(stateOf(flying(0, { phase: 'queued', position: 2 }))).toEqual({ word: 'queued 2', tone: 'quiet' });
  expect(stateOf(flying(0))).toEqual({ word: 'decode', tone: 'acc' });
  expect(stateOf(row(0))).toEqual({ word: '200', tone: 'plain' });
  expect(stateOf(row(0, { finish: 'refused', status: 429 }))).toEqual({ word: '429', tone: 'warn' });
  expect(stateOf(row(0, { finish: 'refused', status: 503 }))).toEqual({ word: '503', tone: 'danger' });
  expect(stateOf(row(0, { finish: 'left', status: 0 }))).toEqual({ word: 'left', tone: 'plain' });
  expect(stateOf(row(0, { finish: 'failed', status: 200 }))).toEqual({ word: 'failed', tone: 'danger' });
});

it('a note says why, and nothing where nothing is to be said', () => {
  expect(noteOf(row(0))).toBe('');
  expect(noteOf(row(0, { reason: 'client limit: 1 at once' }))).toBe('client limit: 1 at once');
  expect(noteOf(row(0, { shared: 'hit' }))).toBe('from the cache');
  expect(noteOf(row(0, { retries: 1 }))).toBe('asked 2 times');
  expect(noteOf(flying(0, { phase: 'queued', expected_wait_ms: 1400 }))).toBe('about 1.4 s to go');
});

it('off, a taken port and one address of two are said, with what to do', () => {
  expect(troubleOf(trafficOf())).toBeNull();
  expect(troubleOf(trafficOf({ state: 'off' }))?.act).toBe('on');
  const taken = troubleOf(trafficOf({ state: 'failed', reason: 'Port 1876 is taken: litellm (pid 8123).' }));
  expect(taken).toMatchObject({ act: 'address', text: 'Port 1876 is taken: litellm (pid 8123).' });
  expect(troubleOf(trafficOf({ reason: '[::1]:1876 is taken' }))?.title).toBe('One address is not served');
});

it('the queue has a cell for each that waits while they are few, and a share beyond', () => {
  expect(queueCells(2, 64)).toEqual({ cells: 32, filled: 2 });
  expect(queueCells(1, 1000)).toEqual({ cells: 32, filled: 1 });
  expect(queueCells(64, 64)).toEqual({ cells: 32, filled: 32 });
  expect(queueCells(500, 1000)).toEqual({ cells: 32, filled: 16 });
  expect(queueCells(0, 8)).toEqual({ cells: 8, filled: 0 });
});

it('slots that others hold are not free', () => {
  const [pool] = poolsOf(
    [backend('chat', { in_flight: 1, outside: 2 })],
    [flying(0)],
    new Set(['chat']),
    T0 + 1200,
  );
  expect(pool).toMatchObject({ free: 1, rest: 0, large: true });
  expect(pool?.cards[0]).toMatchObject({ client: 'continue', phase: 'decode', since: '1.0 s', tokens: '48' });
  expect(pool?.cards[0]?.share).toBeCloseTo(48 / 256);
});
