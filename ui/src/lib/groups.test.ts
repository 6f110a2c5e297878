import { expect, it } from 'vitest';

import type { Process, Service } from './bindings';
import { claims, groupAll, groupOf } from './groups';

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

it('a process that two services name belongs to the first', () => {
  const service = (id: string, pids: number[]) => ({ id, holder: { pids } }) as unknown as Service;
  const owner = claims([service('chat', [1, 2]), service('again', [2, 3]), service('far', [])]);
  expect([...owner]).toEqual([
    [1, 'chat'],
    [2, 'chat'],
    [3, 'again'],
  ]);
});
