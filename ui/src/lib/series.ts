// What a series is called. Pure.

import type { SeriesInfo, SubjectKind } from './bindings';

const PREFIX: Record<SubjectKind, string> = {
  machine: '',
  core: 'Core',
  disk: 'Disk',
  mount: 'Mount',
  interface: 'Network',
  sensor: '',
  gpu: 'GPU',
  process: 'Process',
  plimsoll: 'Plimsoll',
  service: 'Service',
  model: 'Model',
  client: 'Client',
};

/** Labels of services that say nothing without their subject's kind. */
const VAGUE = /^(Up|CPU|RSS|VRAM|Scrape time)$/;

/**
 * `Busy` of a core is `Core busy`; `VRAM used` needs no `GPU` before it. What is counted
 * is shown as a rate, and says so.
 */
export function titleOf(
  info: Pick<SeriesInfo, 'label' | 'subject_kind'> & Partial<Pick<SeriesInfo, 'kind' | 'unit'>>,
): string {
  const { label, subject_kind } = info;
  const prefix = PREFIX[subject_kind];
  const clear =
    !prefix ||
    (subject_kind === 'gpu' && /^(VRAM|PCIe)\b/.test(label)) ||
    (subject_kind === 'service' && !VAGUE.test(label)) ||
    (subject_kind === 'model' && /^Model\b/.test(label));
  const title = clear ? label : `${prefix} ${lowered(label)}`;
  return info.kind === 'counter' && info.unit === 'count' ? `${title} per second` : title;
}

/** As it stands within a sentence: `generated tokens`, `KV cache used`, `Redis memory used`. */
export function lowered(label: string): string {
  const name = /^([A-Z]{2}|[A-Z]\/|Redis\b)/.test(label);
  return name ? label : label.charAt(0).toLowerCase() + label.slice(1);
}

/** The subject as a person says it; empty where there is only one. */
export function subjectOf(info: Pick<SeriesInfo, 'key' | 'subject_kind'>): string {
  switch (info.subject_kind) {
    case 'machine':
    case 'plimsoll':
    case 'gpu':
      return '';
    case 'core':
      return `core ${info.key.subject}`;
    case 'model': {
      // A service's id has no slash; a model's name may.
      const at = info.key.subject.indexOf('/');
      return at < 0
        ? info.key.subject
        : `${info.key.subject.slice(at + 1)} on ${info.key.subject.slice(0, at)}`;
    }
    default:
      return info.key.subject;
  }
}
