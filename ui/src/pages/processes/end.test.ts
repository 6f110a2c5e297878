import { expect, it } from 'vitest';

import type { Process, ProcessTable } from '../../lib/bindings';
import { commandLines, endWords } from './end';

const base: Process = {
  pid: 21734,
  parent: 1,
  name: 'llama-server',
  command: '',
  uid: 1001,
  user: 'ml',
  container: null,
  unit: null,
  cpu_percent: 1,
  rss_bytes: 2 * 2 ** 30,
  vram_bytes: 15.5 * 2 ** 30,
  threads: 1,
  ports: [],
  started_ms: 0,
  cpu_trace: [],
  own: false,
};
const table = (...processes: Process[]): ProcessTable => ({
  at_ms: 1,
  interval_ms: 5000,
  processes,
  vram_unknown: null,
});

it('says what comes free, what hangs on it, and who starts it again', () => {
  const process = { ...base, unit: 'llama.service' };
  const words = endWords(process, table(process, { ...base, pid: 5, parent: 21734 }));
  expect(words.question).toBe('End llama-server, 21734?');
  expect(words.effects).toBe(
    'Up to 15.5 GiB of VRAM and 2.00 GiB of RAM come free; whatever it is doing is cut off. ' +
      '1 process was started by it. systemd may start llama.service again.',
  );
});

it('does not promise VRAM that is not known', () => {
  expect(endWords({ ...base, vram_bytes: null }, table()).effects).not.toContain('VRAM');
});

it('warns of Plimsoll itself and of what the desktop hangs on', () => {
  expect(endWords({ ...base, own: true }, table()).effects).toContain('Plimsoll itself');
  expect(endWords({ ...base, name: 'gnome-shell' }, table()).effects).toContain('logged out');
  expect(endWords({ ...base, pid: 1, name: 'systemd' }, table()).effects).toContain('first process');
});

it('breaks a command line between arguments and loses none', () => {
  const command = `llama-server -m ${'x'.repeat(60)} -c 32768 -np 4`;
  const lines = commandLines(command, 30);
  expect(lines.split('\n').length).toBeGreaterThan(2);
  expect(lines.replace(/\n {2}/g, ' ')).toBe(command);
});
