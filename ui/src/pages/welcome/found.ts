// What the first start says: what was found, and what was not and what to do about it.

import type { About, Check, ProcessTable, SeriesInfo, SourceStatus } from '../../lib/bindings';
import { plural, text } from '../../lib/format';

export interface Found {
  name: string;
  what: string;
  more: string;
  state: 'ok' | 'warn' | 'off';
}

export interface Missing {
  name: string;
  what: string;
  more: string;
  /** A command to copy; empty where there is none. */
  command: string;
}

const shortGpu = (name: string) => name.replace(/^NVIDIA\s+(GeForce\s+)?/, 'NVIDIA ');
const shortCpu = (model: string) =>
  model
    .replace(/\((R|TM)\)/gi, '')
    .replace(/\s+(CPU|Processor|\d+-Core)\b.*$/i, '')
    .trim();

const subjects = (series: readonly SeriesInfo[], kind: SeriesInfo['subject_kind']) =>
  new Set(series.filter((s) => s.subject_kind === kind).map((s) => s.key.subject)).size;

export function headline(about: About): string {
  return about.gpu ? 'This machine and its GPU can be read' : 'This machine can be read; no GPU answers';
}

/** "It looked at the GPU, 212 processes and 3 disks": only what it did look at. */
export function looked(about: About, series: readonly SeriesInfo[], table: ProcessTable | null): string {
  const parts = [about.gpu ? 'the GPU' : 'this machine'];
  if (table && table.at_ms > 0) parts.push(plural(table.processes.length, 'process', 'processes'));
  const mounts = subjects(series, 'mount');
  if (mounts > 0) parts.push(plural(mounts, 'mounted disk'));
  const list = parts.length > 1 ? `${parts.slice(0, -1).join(', ')} and ${parts.at(-1)}` : (parts[0] ?? '');
  return `Plimsoll looked at ${list}. It has changed nothing and sends nothing anywhere.`;
}

export function found(
  about: About,
  series: readonly SeriesInfo[],
  sources: readonly SourceStatus[],
  table: ProcessTable | null,
): Found[] {
  const out: Found[] = [];
  const { gpu, machine } = about;
  if (gpu) {
    const source = sources.find((s) => s.name === 'gpu');
    const facts = [
      gpu.vram_total_bytes === null ? null : text(gpu.vram_total_bytes, 'bytes'),
      gpu.driver_version === null ? null : `driver ${gpu.driver_version}`,
      gpu.power_limit_watts === null ? null : `cap ${Math.round(gpu.power_limit_watts)} W`,
    ].filter((fact) => fact !== null);
    out.push({
      name: shortGpu(gpu.name),
      what: facts.join(', '),
      more:
        gpu.others.length > 0
          ? `Only this card is watched; not watched: ${gpu.others.join(', ')}`
          : 'VRAM, load, heat, power, clocks',
      state: source && source.state !== 'healthy' ? 'warn' : 'ok',
    });
  }
  const disks = subjects(series, 'disk');
  const network = subjects(series, 'interface');
  out.push({
    name: shortCpu(machine.cpu_model) || 'This machine',
    what: [
      ...(machine.cores === null ? [] : [plural(machine.cores, 'thread')]),
      ...(machine.memory_bytes === null ? [] : [text(machine.memory_bytes, 'bytes')]),
      ...(disks > 0 ? [plural(disks, 'disk')] : []),
      ...(network > 0 ? [plural(network, 'network card')] : []),
    ].join(', '),
    more: `${machine.os}, Linux ${machine.kernel}${machine.container ? `, inside ${machine.container}` : ''}`,
    state: 'ok',
  });
  if (table && table.at_ms > 0) {
    out.push({
      name: 'Processes',
      what: `${table.processes.length} run now`,
      more: !about.gpu
        ? 'By service, container or program'
        : table.vram_unknown
          ? `VRAM of each is not known: ${table.vram_unknown}`
          : 'By service, container or program, with the VRAM of each',
      state: table.vram_unknown && about.gpu ? 'warn' : 'ok',
    });
  }
  return out;
}

/** Sources that are absent, and checks that found something to do; each thing once. */
export function missing(about: About, sources: readonly SourceStatus[], checks: readonly Check[]): Missing[] {
  const out: Missing[] = [];
  if (!about.gpu) {
    const reason = sources.find((s) => s.name === 'gpu')?.reason ?? '';
    out.push({
      name: 'GPU',
      what: reason || 'No NVIDIA card answered',
      more: 'Everything else is measured; charts of the GPU stay empty',
      command: '',
    });
  }
  for (const check of checks) {
    if (check.verdict !== 'bad' && check.verdict !== 'limited') continue;
    // The GPU was named above, with its own reason.
    if (!about.gpu && /nvidia|nvml|gpu/i.test(check.name)) {
      const first = out[0];
      if (first && first.command === '') first.command = check.by_hand;
      continue;
    }
    out.push({ name: check.name, what: check.finding, more: check.advice, command: check.by_hand });
  }
  return out;
}
