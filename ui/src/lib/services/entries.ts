// What the command palette offers to do with services.

import type { Service } from '../bindings';
import { text } from '../format';
import type { Entry } from '../palette/items';
import { router } from '../router.svelte';
import { acts } from './acts.svelte';
import { offerOf } from './moves';
import { buttonOf, cutOff } from './run';
import { addressOf, kindOf, listed } from './words';

/** What it does is seen on the page; what goes wrong stands there, too. */
const at = (service: Service, run: () => void) => () => {
  router.go('services', service.id);
  run();
};

/** Without whose it is: there is little room, and what it frees must be read. */
const shortName = (name: string) => name.split('/').at(-1) || name;

function ofModels(service: Service): Entry[] {
  return service.models.flatMap((model): Entry[] => {
    const offer = offerOf(service, model, acts.moving(service.id));
    if (!offer || offer.why !== null) return [];
    const frees =
      offer.to === 'unload' && model.vram_bytes ? `, frees ${text(model.vram_bytes, 'bytes')}` : '';
    return [
      {
        id: `model:${offer.to}:${service.id}:${model.name}`,
        kind: 'action',
        label: `${offer.to === 'load' ? 'Load' : 'Unload'} ${shortName(model.name)}${frees}`,
        words: `${model.name} ${service.id} ${service.name} model vram memory`,
        aside: service.name,
        weight: 1,
        run: at(service, () => void acts[offer.to](service, model.name)),
      },
    ];
  });
}

function ofRun(service: Service): Entry[] {
  const { run } = service;
  const todo = run ? buttonOf(run.state) : null;
  if (!run || todo === null) return [];
  const cuts = cutOff(service) !== null;
  const entry = (what: 'start' | 'stop' | 'restart', label: string): Entry => {
    // What it would cut off is asked about on the page.
    const asks = cuts && what !== 'start';
    return {
      id: `run:${what}:${service.id}`,
      kind: 'action',
      label: `${label} ${service.name}${asks ? '…' : ''}`,
      words: `${service.id} service run`,
      weight: 1,
      run: asks
        ? () => router.go('services', service.id, `?do=${what}`)
        : at(service, () => void acts[what](service)),
    };
  };
  if (todo === 'start') return [entry('start', 'Start')];
  return [entry('stop', 'Stop'), ...(run.state === 'running' ? [entry('restart', 'Restart')] : [])];
}

export function serviceActions(services: readonly Service[]): Entry[] {
  const add: Entry = {
    id: 'service:add',
    kind: 'action',
    label: 'Add a service…',
    words: 'watch url address server new',
    run: () => router.go('services', '?do=add'),
  };
  const found = services
    .filter((s) => s.origin === 'proposed')
    .map((s): Entry => ({
      id: `accept:${s.id}`,
      kind: 'action',
      label: `Watch ${kindOf(s)} ${addressOf(s.url)}`,
      words: `${s.id} ${s.name} add accept found service`,
      aside: 'found on this machine',
      run: () => {
        router.go('services');
        void acts.accept(s);
      },
    }));
  return [add, ...found, ...listed(services, 'all').flatMap((s) => [...ofRun(s), ...ofModels(s)])];
}
