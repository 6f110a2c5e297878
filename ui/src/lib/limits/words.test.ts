import { expect, it } from 'vitest';

import type { LimitInfo } from '../bindings';
import { finds, inWords, restartWords, zeroWords } from './words';

it('a large number is said in the unit that a person thinks in', () => {
  expect(inWords(43_200, 's')).toBe('12 h');
  expect(inWords(60, 's')).toBeNull();
  expect(inWords(4096, 'MiB')).toBe('4.00 GiB');
  expect(inWords('auto', 's')).toBeNull();
});

it('what 0 stands for is told where it is no number', () => {
  expect(zeroWords({ meaning: 'Most tokens that one client uses; 0: any number.' })).toBe('any number');
  expect(zeroWords({ meaning: 'At once; 0: no limit of its own.' })).toBe('no limit of its own');
  expect(zeroWords({ meaning: 'On the GPU; 0: not known, it does not wait.' })).toBe('not known');
  expect(zeroWords({ meaning: 'At once; 0: as each client.' })).toBe('as each client');
  // None waits: that is the number 0.
  expect(zeroWords({ meaning: 'One more is refused; 0: none waits.' })).toBeNull();
});

it('the button names each service that restarts, and how long it is away', () => {
  const chat = { service: 'chat', name: 'Chat', about_ms: 9200 };
  expect(restartWords([chat])).toBe('restarts Chat (about 9 s)');
  expect(restartWords([chat, { service: 'e', name: 'Embed', about_ms: null }])).toBe(
    'restarts Chat (about 9 s) and Embed (how long is not known)',
  );
  expect(restartWords([chat, chat, chat])).toBe('restarts 3 services');
  expect(restartWords([])).toBe('');
});

it('a limit is found by any of its words, and by what it limits', () => {
  const limit = {
    title: 'Waiting requests',
    key: 'gateway.queue.max',
    meaning: 'Refused at once.',
    of: null,
    unit: 'requests',
  };
  const found = (text: string) => finds(limit as LimitInfo, 'Queue and waiting', text);
  expect(found('queue')).toBe(true);
  expect(found('waiting REFUSED')).toBe(true);
  expect(found('queue vram')).toBe(false);
});
