import { expect, it } from 'vitest';

import type { Process } from './bindings';
import { groupAll, groupOf, holders } from './groups';

const GIB = 2 ** 30;
const process = (more: Partial<Process>): Process => ({
  pid: 1,
  parent: 0,
  name: 'python3',
  command: '',
  uid: 1000,
  user: 'mara',
  container: null,
  unit: null,
  cpu_percent: null,
  rss_bytes: 0,
  vram_bytes: null,
  threads: 1,
  ports: [],
  started_ms: 0,
  cpu_trace: [],
  own: false,
  ...more,
});

it('a process is called by its service, else its container, else its name', () => {
  expect(groupOf(process({ unit: 'ollama.service', container: 'c' })).name).toBe('ollama');
  expect(groupOf(process({ container: 'whisper' })).name).toBe('whisper');
  expect(groupOf(process({})).name).toBe('python3');
  expect(groupOf(process({ unit: 'user@1000.service' })).kind).toBe('program');
  expect(groupOf(process({ own: true, unit: 'x.service' })).name).toBe('Plimsoll');
});

it('what no process knows stays unknown in the sum', () => {
  const [group] = groupAll([process({ rss_bytes: 5 }), process({ rss_bytes: 6, cpu_percent: 3 })]);
  expect(group).toMatchObject({ rss_bytes: 11, cpu_percent: 3, vram_bytes: null });
});

it('what the card uses and nobody owns up to is named as such', () => {
  const list = [process({ name: 'a', vram_bytes: 4 * GIB }), process({ name: 'b', vram_bytes: 2 * GIB })];
  expect(holders(list, 7 * GIB, 5)).toEqual([
    { name: 'a', bytes: 4 * GIB, kind: 'group' },
    { name: 'b', bytes: 2 * GIB, kind: 'group' },
    { name: 'driver and other', bytes: GIB, kind: 'rest' },
  ]);
  expect(holders(list, 6 * GIB, 5).length).toBe(2);
  expect(holders(list, 6 * GIB, 1).at(-1)).toEqual({ name: '1 more', bytes: 2 * GIB, kind: 'small' });
});
