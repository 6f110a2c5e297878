import { expect, it } from 'vitest';

import { crosses } from './frame';

// 100 s on 100 px, 0 to 10 on 100 px from the ground up.
const frame = { left: 0, top: 0, width: 100, height: 100, view: { from: 0, to: 100 }, lo: 0, hi: 10 };
const line = (...points: [number, number | null][]) => ({
  at: points.map(([at]) => at),
  min: points.map(([, value]) => value),
  max: points.map(([, value]) => value),
});
const ground = { left: 40, right: 60, top: 85, bottom: 98 };

it('a line crosses a box where it passes through it, also between its points', () => {
  expect(crosses(frame, line([0, 5], [50, 5], [100, 5]), ground)).toBe(false);
  expect(crosses(frame, line([0, 5], [50, 1], [100, 5]), ground)).toBe(true);
  expect(crosses(frame, line([0, 1], [100, 1]), ground), 'its points lie beside').toBe(true);
  expect(crosses(frame, line([0, 1], [30, 1]), ground), 'it ends before').toBe(false);
  expect(crosses(frame, line([30, 1], [50, null], [70, 1]), ground), 'a gap is no line').toBe(false);
});
