// Noise that depends on the moment alone, so that every start shows the same machine.

export const GIB = 2 ** 30;
export const MIB = 2 ** 20;

export type Fn = (t: number) => number;

/** Noise that depends on the moment alone: 0 to 1. */
function noise(seed: number, t: number): number {
  let x = (Math.imul(Math.floor(t), 0x9e3779b1) ^ Math.imul(seed, 0x85ebca6b)) | 0;
  x = Math.imul(x ^ (x >>> 15), 0x2c1b3c6d);
  x = Math.imul(x ^ (x >>> 12), 0x297a2d39);
  return ((x ^ (x >>> 15)) >>> 0) / 2 ** 32;
}

/** Smooth noise over about `period` ms, −1 to 1. */
export function wave(seed: number, t: number, period: number): number {
  const at = t / period;
  const a = noise(seed, Math.floor(at));
  const b = noise(seed, Math.floor(at) + 1);
  const f = at - Math.floor(at);
  return 2 * (a + (b - a) * f * f * (3 - 2 * f)) - 1;
}

export const mix = (seed: number, base: number, slow: number, fast: number, lo: number, hi: number): Fn => {
  return (t) =>
    Math.min(
      hi,
      Math.max(
        lo,
        base +
          slow * wave(seed, t, 600_000) +
          (slow / 2) * wave(seed + 1, t, 7_200_000) +
          fast * wave(seed + 2, t, 4000),
      ),
    );
};
