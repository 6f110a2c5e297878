// What is said before a process is ended: what it is, and what happens then.

import type { Process, ProcessTable } from '../../lib/bindings';
import { plural, text } from '../../lib/format';

export interface EndWords {
  question: string;
  /** What happens, in whole sentences. */
  effects: string;
}

/** Init, and what everything else hangs on: ending it ends the session or the machine. */
const VITAL = new Set([
  'systemd',
  'init',
  'systemd-logind',
  'dbus-daemon',
  'dbus-broker',
  'Xorg',
  'Xwayland',
  'gnome-shell',
  'kwin_wayland',
  'sshd',
]);

export function endWords(process: Process, table: ProcessTable): EndWords {
  const sentences: string[] = [];
  const children = table.processes.filter((p) => p.parent === process.pid).length;
  if (process.own) sentences.push('This is Plimsoll itself: the window closes or recording stops.');
  else if (process.pid === 1)
    sentences.push('This is the first process of the system: nothing runs on without it.');
  else if (VITAL.has(process.name))
    sentences.push('The desktop or the system depends on it: you may be logged out.');
  const frees = [text(process.rss_bytes, 'bytes') + ' of RAM'];
  if (process.vram_bytes) frees.unshift(text(process.vram_bytes, 'bytes') + ' of VRAM');
  sentences.push(`Up to ${frees.join(' and ')} come free; whatever it is doing is cut off.`);
  if (children > 0) sentences.push(`${plural(children, 'process was', 'processes were')} started by it.`);
  if (process.container) sentences.push(`${process.container} may start it again.`);
  else if (process.unit?.endsWith('.service')) sentences.push(`systemd may start ${process.unit} again.`);
  return { question: `End ${process.name}, ${process.pid}?`, effects: sentences.join(' ') };
}

/** Arguments of a command line under each other, as long as each line has room. */
export function commandLines(command: string, width = 48): string {
  const lines: string[] = [];
  let line = '';
  for (const part of command.split(' ')) {
    // An option starts a new line only where the present one is full; it stays with its value.
    if (line !== '' && line.length + 1 + part.length > width) {
      lines.push(line);
      line = `  ${part}`;
    } else line = line === '' ? part : `${line} ${part}`;
  }
  if (line !== '') lines.push(line);
  return lines.join('\n');
}
