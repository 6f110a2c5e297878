// What the palette offers: pages, actions, metrics, limits, settings, services, processes.

import type { ProcessTable, SeriesInfo, Service } from '../bindings';
import { host } from '../host';
import { limits } from '../limits/limits.svelte';
import { RANGE_IDS, RANGES } from '../range';
import { leadOf } from '../alerts/words';
import { href, PAGES, router, TITLES } from '../router.svelte';
import { holding } from '../state/hold.svelte';
import { range } from '../state/range.svelte';
import { session } from '../state/session.svelte';
import { text } from '../format';
import { draft } from '../settings/draft.svelte';
import { titleOf as settingTitle, write } from '../settings/values';
import { subjectOf, titleOf as seriesTitle } from '../series';
import { titleOf as processTitle } from '../groups';
import { addressOf, kindOf, listed, STATE_WORDS } from '../services/words';

export type Kind = 'page' | 'action' | 'metric' | 'setting' | 'limit' | 'service' | 'process' | 'alert';

export interface Entry {
  id: string;
  kind: Kind;
  label: string;
  /** Searched as well, not shown. */
  words?: string;
  /** Shown in grey behind the label. */
  aside?: string;
  keys?: string;
  weight?: number;
  run: () => void;
}

const PAGE_KEYS: Record<string, string> = {
  overview: '1',
  explore: '2',
  processes: '3',
  services: '4',
  traffic: '5',
  limits: '6',
  settings: 'Ctrl ,',
};
const PARTS: [id: string, label: string, words: string][] = [
  ['history', 'History and storage', 'space disk keep retention'],
  ['alerts', 'Alert rules', 'threshold warn notify'],
  ['read-log', 'Read the log', 'messages errors debug'],
  ['doctor', 'Doctor: what works here', 'driver nvml diagnose problem'],
  ['about', 'About Plimsoll', 'version licence folder socket'],
];

/** Presses a button of a page by its key, once the page is there. */
function press(key: string): void {
  const until = Date.now() + 2000;
  const look = () => {
    const target = document.querySelector<HTMLElement>(`main [aria-keyshortcuts~="${key}"]`);
    if (target) target.click();
    else if (Date.now() < until) setTimeout(look, 50);
  };
  setTimeout(look, 0);
}

export function pages(): Entry[] {
  return [
    ...PAGES.map((page): Entry => ({
      id: `page:${page}`,
      kind: 'page',
      label: TITLES[page],
      keys: PAGE_KEYS[page],
      weight: 6,
      run: () => router.go(page),
    })),
    ...PARTS.map(([id, label, words]): Entry => ({
      id: `part:${id}`,
      kind: 'page',
      label,
      words: `settings ${words}`,
      weight: 2,
      run: () => router.go('settings', id),
    })),
    {
      id: 'part:revisions',
      kind: 'page',
      label: 'Revisions of the settings',
      words: 'undo rollback history changes',
      run: () => router.go('settings', '?tab=revisions'),
    },
    {
      id: 'part:file',
      kind: 'page',
      label: 'The settings file',
      words: 'toml edit plimsoll.toml',
      run: () => router.go('settings', '?tab=file'),
    },
  ];
}

export function actions(): Entry[] {
  const list: Entry[] = [
    range.live
      ? {
          id: 'pause',
          kind: 'action',
          label: 'Stop the picture',
          words: 'pause freeze',
          aside: 'recording goes on',
          keys: 'Space',
          run: () => range.pause(),
        }
      : {
          id: 'live',
          kind: 'action',
          label: 'Back to live',
          words: 'resume continue',
          keys: 'Space',
          run: () => range.goLive(),
        },
    ...RANGE_IDS.map((id): Entry => ({
      id: `range:${id}`,
      kind: 'action',
      label: `Show ${RANGES[id].label}`,
      words: 'range time last',
      run: () => range.choose(id),
    })),
    ...(['system', 'dark', 'light'] as const).map((theme): Entry => ({
      id: `theme:${theme}`,
      kind: 'action',
      label: theme === 'system' ? "Theme: the desktop's" : `Theme: ${theme}`,
      words: 'colours appearance mode',
      run: () => void draft.applyNow([{ key: 'window.theme', value: theme }], `Theme: ${theme}`),
    })),
    {
      id: 'export',
      kind: 'action',
      label: 'Export what Explore shows',
      words: 'csv png save',
      keys: 'E',
      run: () => {
        router.go('explore');
        press('E');
      },
    },
    {
      id: 'connect',
      kind: 'action',
      label: 'Connect a program',
      words: 'gateway openai key address client sdk base url',
      keys: 'C',
      run: () => router.go('traffic', '?do=connect'),
    },
    {
      id: 'keys',
      kind: 'action',
      label: 'Keys of the gateway',
      words: 'revoke make api key client',
      run: () => router.go('traffic', '?do=keys'),
    },
    {
      id: 'backup',
      kind: 'action',
      label: 'Back up the data…',
      words: 'copy save',
      run: () => router.go('settings', 'history', '?do=backup'),
    },
    {
      id: 'bundle',
      kind: 'action',
      label: 'Bundle for a bug report…',
      words: 'doctor problem',
      run: () => router.go('settings', 'doctor'),
    },
    {
      id: 'end',
      kind: 'action',
      label: 'End a process…',
      words: 'kill stop task',
      run: () => router.go('processes'),
    },
  ];
  list.push(...holds());
  if (!draft.clean) {
    list.push(
      {
        id: 'apply',
        kind: 'action',
        label: draft.text === null ? `Apply ${draft.count} staged` : 'Apply the edited file',
        keys: 'Ctrl Enter',
        weight: 4,
        run: () => void draft.apply(),
      },
      { id: 'discard', kind: 'action', label: 'Discard what is staged', run: () => draft.discard() },
    );
  }
  if (host().kind !== 'desktop')
    list.push({ id: 'reload', kind: 'action', label: 'Load the page again', run: () => location.reload() });
  return list;
}

/** The GPU for somebody else: only where there is one. */
function holds(): Entry[] {
  const words = 'hold gpu vram unload stop game hour free';
  const ask = (label: string): Entry => ({
    id: 'hold',
    kind: 'action',
    label,
    words,
    run: () => (holding.asking = true),
  });
  if (holding.on) {
    const end: Entry = {
      id: 'hold-end',
      kind: 'action',
      label: 'End the GPU hold now',
      words,
      aside: 'everything is brought back',
      weight: 3,
      run: () => void holding.end(),
    };
    return holding.hold?.state === 'restoring' ? [] : [end, ask('Change how long the GPU is held…')];
  }
  return session.about?.gpu ? [ask('Free the GPU for a while…')] : [];
}

export function metrics(series: readonly SeriesInfo[]): Entry[] {
  return series.map((info): Entry => {
    const { key, subject_kind, last, unit, kind } = info;
    const subject = subjectOf(info);
    return {
      id: `metric:${key.metric}:${key.subject}`,
      kind: 'metric',
      label: subject ? `${seriesTitle(info)}, ${subject}` : seriesTitle(info),
      words: `${key.metric} ${key.subject}`,
      aside: last === null || kind !== 'gauge' ? undefined : text(last, unit),
      weight: subject_kind === 'core' || subject_kind === 'process' ? -3 : 0,
      run: () => {
        const query = new URLSearchParams({ series: key.metric });
        if (key.subject) query.set('subject', key.subject);
        router.go('explore', `?${query.toString()}`);
      },
    };
  });
}

/** A setting that is a limit has its chart on another page. */
export function settings(): Entry[] {
  return draft.items
    .filter((item) => !limits.byKey.has(item.key))
    .map((item): Entry => ({
      id: `setting:${item.key}`,
      kind: 'setting',
      label: settingTitle(item),
      words: `${item.key} ${item.spec.section}`,
      aside: draft.say(item.key, item.state.value),
      weight: item.key.startsWith('alerts.rules.') ? -3 : 0,
      run: () => router.go('settings', `?key=${encodeURIComponent(item.key)}`),
    }));
}

/** Limits of what was found by itself are here too: no setting names them yet. */
export function limitEntries(): Entry[] {
  const view = limits.view;
  const groups = new Map(view?.groups.map(({ id, title }) => [id, title]));
  return (view?.limits ?? []).map(({ key, title, group, value, unit }): Entry => ({
    id: `limit:${key}`,
    kind: 'limit',
    label: title,
    words: `${key} ${groups.get(group) ?? ''} setting`,
    aside: unit && typeof value === 'number' ? `${write(value)} ${unit}` : write(value),
    run: () => router.go('limits', `?key=${encodeURIComponent(key)}`),
  }));
}

export function processes(table: ProcessTable): Entry[] {
  return table.processes.map((p): Entry => ({
    id: `process:${p.pid}`,
    kind: 'process',
    label: processTitle(p),
    words: `${p.pid} ${p.user} ${p.container ?? ''} ${p.unit ?? ''}`,
    aside: `${p.pid}, ${p.user}`,
    weight: p.vram_bytes === null ? -4 : -1,
    run: () => router.go('processes', `?pid=${p.pid}`),
  }));
}

export function services(list: readonly Service[]): Entry[] {
  return listed(list, 'all').map((s): Entry => ({
    id: `service:${s.id}`,
    kind: 'service',
    label: s.name,
    words: `${s.id} ${kindOf(s)} ${s.url} ${s.models.map((m) => m.name).join(' ')}`,
    aside: `${kindOf(s)} ${addressOf(s.url)}, ${STATE_WORDS[s.state]}`,
    weight: 2,
    run: () => router.go('services', s.id),
  }));
}

export function alerts(): Entry[] {
  return session.active.map((a): Entry => ({
    id: `alert:${a.row.id}`,
    kind: 'alert',
    label: a.row.title,
    words: `${a.row.rule} ${a.row.subject}`,
    run: () => {
      const rule = href('settings', `?key=${encodeURIComponent(`alerts.rules.${a.row.rule}.enabled`)}`);
      location.hash = leadOf(a.row, session.rules)?.href ?? rule;
    },
  }));
}
