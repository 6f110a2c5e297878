// Whether a model of a service can be loaded or unloaded, and why not. Pure.

import type { Service, ServiceKind } from '../bindings';
import { text, when } from '../format';
import { shareWords } from './vram';
import { amount, kindOf, lookOf, type Model } from './words';

export interface MoveOffer {
  to: 'load' | 'unload';
  /** Why it cannot be done now; `null` where it can. */
  why: string | null;
}

/** What a model's button offers; `null` where this server can do neither, which is said once for all. */
export function offerOf(service: Service, model: Model, moving: boolean): MoveOffer | null {
  const { actions } = service;
  if (!actions.load && !actions.unload) return null;
  const to = model.loaded === 'loaded' ? 'unload' : 'load';
  const offer = (why: string | null): MoveOffer => ({ to, why });
  const look = lookOf(service);
  if (look === 'stopped' || look === 'down') return offer('The server does not answer');
  if (model.loaded === 'loading') return offer('It is being loaded');
  if (model.loaded === 'unknown') return offer('The server does not tell whether it is loaded');
  if (!actions[to]) return offer(`${kindOf(service)} cannot ${to} a model while it runs`);
  if (moving) return offer('Another model of it is on its way');
  return offer(null);
}

const WITH_MODELS: readonly (ServiceKind | null)[] = ['llama-cpp', 'vllm', 'sglang', 'llama-cpp-python'];

/** Below the models of a server that can do neither. */
export function moveNote(service: Service): string | null {
  if (service.actions.load || service.actions.unload) return null;
  if (!WITH_MODELS.includes(service.kind)) return null;
  return 'It has the model that it was started with.';
}

/** That one that is not loaded lies on the disk is said beside its size. */
const STATES: Partial<Record<Model['loaded'], string>> = {
  loading: 'loading',
  unknown: 'not known whether loaded',
};

/** Second line of a model: `Q4_K_M, 8192 tokens, until 14:41`. */
export function modelAside(model: Model, now: number): string {
  const until =
    model.expires_ms !== null && model.loaded === 'loaded' ? `until ${when(model.expires_ms, now)}` : '';
  const parts = [
    STATES[model.loaded] ?? (model.loaded === 'unloaded' && model.size_bytes === null ? 'unloaded' : ''),
    model.quantization ?? '',
    model.context_tokens === null ? '' : `${amount(model.context_tokens, true)} tokens`,
    until,
  ];
  return parts.filter(Boolean).join(', ') || model.loaded;
}

/**
 * Where it lies: `100 % on GPU`, `36 % on GPU`, `on disk`; empty where it is not known. On the CPU of
 * a machine without a `gpu` it has not fallen.
 */
export function placeWords(model: Model, gpu: boolean): { text: string; fallen: boolean } {
  if (model.loaded === 'unloaded') return { text: model.size_bytes === null ? '' : 'on disk', fallen: false };
  const share = shareWords(model);
  if (!share) return { text: '', fallen: false };
  if (model.gpu_share === 0) return { text: 'on the CPU', fallen: gpu };
  return { text: `${share.text} on GPU`, fallen: share.fallen };
}

/** What pressing the button does, for a tooltip and a screen reader: `Unload whisper, frees 1.60 GiB`. */
export function moveTitle(model: Model, to: MoveOffer['to']): string {
  if (to === 'load')
    return `Load ${model.name}${model.size_bytes === null ? '' : `, ${text(model.size_bytes, 'bytes')}`}`;
  const frees = model.vram_bytes ?? 0;
  return `Unload ${model.name}${frees > 0 ? `, frees ${text(frees, 'bytes')} of VRAM` : ''}`;
}
