// What a person does to the invented services, kept while the page is open: found ones are
// accepted and ignored, models loaded and unloaded, commands started and stopped.

import type { JobState, Live, Service } from '../../../bindings';
import type { Handlers } from '../../fake';
import { CallError } from '../../types';
import { bytesAs } from '../../../format';
import { addedOf, testAnswer } from './added';
import { ollamaModels, proposals, servicesOf } from './list';
import { outputOf } from './output';
import type { Lately } from './series';

/** Their numbers begin behind those of the settings' own work. */
const FIRST_JOB = 100;

export interface WorldOptions extends Lately {
  /** `empty`, `found`, `unsought`, `slow`, or another variant of the whole. */
  variant: string;
  emit: (live: Live) => void;
}

const refuse = (code: 'not_found' | 'conflict', message: string, hint: string | null = null) =>
  new CallError({ code, message, hint });

export function serviceAnswers({ variant, emit, ...lately }: WorldOptions): Handlers {
  const nothing = variant === 'empty' || variant === 'found' || variant === 'unsought';
  const searching = variant !== 'unsought';
  let waiting = variant === 'empty' || variant === 'unsought' ? [] : proposals();
  const accepted: Service[] = [];
  const added: Service[] = [];
  const removed = new Map<number, Service | string>();
  const gone = new Set<string>();
  const ignored = new Map<string, { service: Service; live: boolean }>();
  if (!nothing) {
    const old = { ...proposals()[0]!, id: 'old-vllm', name: 'old-vllm', kind: 'vllm' as const };
    ignored.set('old-vllm', { service: { ...old, url: 'http://127.0.0.1:8001' }, live: false });
  }
  /** What a person changed, by service: over what the invented machine says. */
  const over = new Map<string, Partial<Service>>();
  const loads = new Map<string, Service['models'][number]['loaded']>();
  const jobs = new Map<number, () => void>();
  let nextJob = FIRST_JOB;
  let revision = 38;

  const list = (): Service[] =>
    [...(nothing ? [] : servicesOf(lately)), ...accepted, ...added]
      .filter((s) => !gone.has(s.id))
      .map((s) => ({ ...s, ...over.get(s.id) }))
      .map((s) => ({
        ...s,
        models: s.models.map((m) => {
          const loaded = loads.get(`${s.id} ${m.name}`);
          return loaded === undefined
            ? m
            : {
                ...m,
                loaded,
                vram_bytes: loaded === 'loaded' ? m.size_bytes : null,
                gpu_share: loaded === 'loaded' ? 1 : null,
                expires_ms: null,
              };
        }),
      }));
  const find = (id: string) => {
    const service = list().find((s) => s.id === id);
    if (!service) throw refuse('not_found', `There is no service ${id}.`);
    return service;
  };
  const changed = () => emit({ event: 'services', at_ms: Date.now() });
  const told = <T>(answer: T): T => {
    setTimeout(changed);
    return answer;
  };

  /** A model is moved in two seconds, and can be left where it is meanwhile. */
  function move(id: string, name: string, to: 'loaded' | 'unloaded') {
    const service = find(id);
    const model = service.models.find((m) => m.name === name);
    if (!model) throw refuse('not_found', `${service.name} has no model ${name}.`);
    const job = nextJob++;
    const key = `${id} ${name}`;
    const before = model.loaded;
    const size = bytesAs(model.size_bytes ?? 0, 'GiB');
    const title = to === 'loaded' ? `Load ${name}` : `Unload ${name}`;
    let share = 0;
    const tell = (state: JobState, message: string) =>
      emit({ event: 'job', job: { job, title, state, share: to === 'loaded' ? share : null, message } });
    const timer = setInterval(() => {
      share = Math.min(1, share + 0.1);
      if (share < 1)
        return tell('running', to === 'loaded' ? `${size} GiB are read` : 'it is asked to let go');
      end('done', to);
    }, 250);
    const end = (state: JobState, loaded: typeof before) => {
      clearInterval(timer);
      jobs.delete(job);
      loads.set(key, loaded);
      const words = to === 'loaded' ? `is loaded: VRAM 20.1 → 20.6 GiB` : `is unloaded: VRAM 20.1 → 18.5 GiB`;
      tell(state, state === 'done' ? `${name} ${words}` : 'Nothing was changed');
      changed();
    };
    jobs.set(job, () => end('cancelled', before));
    if (to === 'loaded') loads.set(key, 'loading');
    return told({ job });
  }

  const still: Partial<Service> = { models: [], slots: null, holder: null, vram: null };
  const ofRun = (id: string) => {
    const service = find(id);
    const { run } = service;
    if (!run) throw refuse('conflict', `${service.name} has no command: somebody else starts it.`);
    const set = (state: typeof run.state, more: Partial<Service>) => {
      over.set(id, {
        run: { ...run, state, since_ms: Date.now(), reason: '', next_ms: null },
        since_ms: Date.now(),
        reason: '',
        ...more,
      });
      changed();
    };
    return { service, set };
  };

  function begin(id: string, then: () => void = () => undefined) {
    const { service, set } = ofRun(id);
    set('starting', { ...still, state: 'starting', reason: 'it does not answer yet' });
    setTimeout(() => (set('running', { state: 'healthy' }), then()), 4000);
    return told({ message: `${service.name} is being started` });
  }

  /** What it works on ends first, in two seconds; until then it can be left as it is. */
  function stops(id: string, to: 'stop' | 'restart') {
    const { service, set } = ofRun(id);
    const job = nextJob++;
    const title = `${to === 'stop' ? 'Stop' : 'Restart'} ${id}`;
    const tell = (state: JobState, message: string) =>
      emit({ event: 'job', job: { job, title, state, share: state === 'done' ? 1 : null, message } });
    const busy = service.slots?.busy ?? 0;
    const ended = setTimeout(
      () => {
        jobs.delete(job);
        set('stopping', {});
        setTimeout(() => {
          set('stopped', { ...still, state: 'down' });
          if (to === 'stop') return tell('done', `${id} is stopped.`);
          begin(id, () => tell('done', `${id} serves again after 6 s.`));
        }, 1500);
      },
      busy > 0 ? 2000 : 0,
    );
    if (busy > 0) {
      const requests = busy === 1 ? '1 request' : `${busy} requests`;
      setTimeout(() => tell('running', `Waits for ${requests} to end, at most 30 s.`));
      jobs.set(job, () => {
        clearTimeout(ended);
        jobs.delete(job);
        tell('cancelled', 'Cancelled.');
      });
    }
    return told({ job });
  }

  const late = <T>(answer: T): Promise<T> =>
    new Promise((answered) => setTimeout(() => answered(answer), variant === 'slow' ? 6000 : 600));

  return {
    services: () => (variant === 'slow' ? late([...list(), ...waiting]) : [...list(), ...waiting]),
    'services.show': ({ id }) => find(id),
    'services.found': () => ({
      searching,
      looked_ms: searching ? Date.now() - 4000 : null,
      ignored: [...ignored.values()].map(({ service, live }) => ({
        id: service.id,
        name: service.name,
        kind: service.kind ?? 'http',
        url: service.url,
        live,
      })),
      docker:
        variant === 'found' || variant === 'ailing'
          ? '/var/run/docker.sock may not be read: containers are known by their ports alone.'
          : null,
      unclaimed: [],
    }),
    'services.accept': ({ id }) => {
      const service = waiting.find((s) => s.id === id);
      gone.delete(id);
      if (service) {
        waiting = waiting.filter((s) => s !== service);
        accepted.push({
          ...service,
          origin: 'accepted',
          state: 'healthy',
          since_ms: Date.now(),
          checked_ms: Date.now(),
          scrape_ms: 9,
          ...(service.kind === 'ollama' && {
            models: ollamaModels(),
            actions: { load: true, unload: true },
            version: '0.12.6',
          }),
        });
      }
      return told({ message: `${service?.name ?? id} is watched` });
    },
    'services.ignore': ({ id }) => {
      const service = waiting.find((s) => s.id === id);
      if (!service) throw refuse('not_found', `Nothing was found that is called ${id}.`);
      waiting = waiting.filter((s) => s !== service);
      ignored.set(id, { service, live: true });
      return told({ message: `${service.name} is not proposed again` });
    },
    'services.restore': ({ id }) => {
      const was = ignored.get(id);
      if (!was) throw refuse('not_found', `${id} is not ignored.`);
      ignored.delete(id);
      if (was.live) waiting = [...waiting, was.service];
      return told({ message: `${was.service.name} is proposed again` });
    },
    'services.add': (ask) => {
      const service = addedOf(ask, list());
      added.push(service);
      revision += 1;
      removed.set(revision, service.id);
      return told({ id: service.id, revision });
    },
    'services.remove': ({ id }) => {
      const service = find(id);
      gone.add(id);
      const found = service.origin === 'accepted';
      if (found) waiting = [...waiting, { ...service, origin: 'proposed', state: 'unknown' }];
      else removed.set(++revision, service);
      const message = found
        ? `${service.name} is not watched any more; it is proposed again`
        : `${service.name} is out of the settings, as revision ${revision}`;
      return told({ message, revision: found ? null : revision });
    },
    'services.test': async (ask) => late(await testAnswer(ask, list())),
    'services.load': ({ id, model }) => move(id, model, 'loaded'),
    'services.unload': ({ id, model }) => move(id, model, 'unloaded'),
    'services.start': ({ id }) => begin(id),
    'services.stop': ({ id }) => stops(id, 'stop'),
    'services.restart': ({ id }) => stops(id, 'restart'),
    'services.output': ({ id, lines }) => outputOf(find(id), lines, lately.start),
    'config.undo': ({ revision: number, by }) => {
      const was = removed.get(number);
      if (typeof was === 'string') gone.add(was);
      else if (was) gone.delete(was.id);
      else throw refuse('not_found', `There is no revision ${number}.`);
      removed.delete(number);
      revision += 1;
      return told({
        number: revision,
        at_ms: Date.now(),
        by,
        rolled_back_to: null,
        changed: [],
        diff: [],
      });
    },
    'jobs.cancel': ({ job }) => {
      jobs.get(job)?.();
      return { message: '' };
    },
  };
}
