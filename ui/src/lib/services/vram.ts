// What a service holds of the card, and in which parts. Pure.

import type { Service } from '../bindings';
import { digits3 } from '../format';
import type { Model } from './words';

export interface VramParts {
  total: number;
  /** Of its models, as far as it is known apart. */
  weights: number;
  kv: number;
  /** Held by its processes beyond that. */
  rest: number;
}

/** Told apart where the server lets it be known; else its models against what its processes hold. */
export function vramOf(service: Pick<Service, 'models' | 'holder' | 'vram'>): VramParts | null {
  const { vram } = service;
  if (vram) {
    return {
      total: vram.total_bytes,
      weights: vram.weights_bytes ?? 0,
      kv: vram.kv_bytes ?? 0,
      rest: vram.other_bytes,
    };
  }
  const told = service.models.map((m) => m.vram_bytes).filter((v) => v !== null);
  const models = told.reduce((sum, v) => sum + v, 0);
  const held = service.holder?.vram_bytes ?? null;
  if (held === null)
    return told.length === 0 || models === 0 ? null : { total: models, weights: models, kv: 0, rest: 0 };
  const weights = Math.min(models, held);
  return { total: held, weights, kv: 0, rest: Math.max(0, held - models) };
}

export interface Part {
  name: string;
  bytes: number;
  color: string;
}

/** Parts with their names, those that hold something. */
export function partsOf({ weights, kv, rest }: VramParts): Part[] {
  return [
    { name: 'weights', bytes: weights, color: '--s1' },
    { name: 'KV cache', bytes: kv, color: '--s2' },
    { name: weights + kv > 0 ? 'other' : 'not known apart', bytes: rest, color: '--s-mute' },
  ].filter((part) => part.bytes > 0);
}

/** How the parts are known, in words. */
export function basisWords({ vram, holder }: Pick<Service, 'vram' | 'holder'>): string {
  if (vram === null)
    return holder?.vram_bytes == null ? 'as the server tells its models' : 'whole measured, models as told';
  if (!vram.weights_bytes && !vram.kv_bytes) return 'measured, not known apart';
  return vram.basis === 'told' ? 'whole measured, parts told by the server' : 'whole measured, parts assumed';
}

/** `100 %`, `62 %`; `fallen` where a part of it runs on the CPU. */
export function shareWords(model: Pick<Model, 'gpu_share'>): { text: string; fallen: boolean } | null {
  const share = model.gpu_share;
  if (share === null) return null;
  // What a server counts differs by buffers of its own: a whisker below whole is whole.
  const fallen = share < 0.995;
  return { text: `${fallen ? digits3(share * 100).replace(/\.\d+$/, '') : '100'} %`, fallen };
}
