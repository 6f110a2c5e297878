// The one axis of time under all lanes: moments to pixels and back.

import type { Span } from '../../lib/range';

/** Room around the plots, for the values' axis and the load line's value. */
export const PAD = { left: 40, right: 52, top: 6, bottom: 6 };

export class Axis {
  readonly view: Span;
  /** Of the plots, without the room around them. */
  readonly width: number;

  constructor(view: Span, width: number) {
    this.view = view;
    this.width = width;
  }

  get perPixel(): number {
    return (this.view.to - this.view.from) / Math.max(1, this.width);
  }

  xOf(ms: number): number {
    return PAD.left + (ms - this.view.from) / this.perPixel;
  }

  momentAt(x: number): number {
    return this.view.from + (x - PAD.left) * this.perPixel;
  }

  /** A place kept within the plots. */
  within(x: number): number {
    return Math.min(Math.max(x, PAD.left), PAD.left + this.width);
  }
}
