// One crosshair for all charts: a moment, not a place. The charts that are on
// the screen say how long a pixel is, so that the keyboard can move it.

class CursorState {
  /** Moment under the crosshair; `null` where there is none. */
  at = $state<number | null>(null);
  #frame: { from: number; to: number; width: number } | null = null;

  /** The moment, if it lies within what is shown. */
  within(from: number, to: number): number | null {
    return this.at !== null && this.at >= from && this.at <= to ? this.at : null;
  }

  /** Told by the charts whenever their axis changes. */
  frame(from: number, to: number, width: number): void {
    this.#frame = { from, to, width };
  }

  leave(): void {
    this.at = null;
  }

  /** By so many pixels of the charts; begins at the right end. */
  nudge(pixels: number): void {
    const frame = this.#frame;
    if (!frame || frame.width <= 0) return;
    const perPixel = (frame.to - frame.from) / frame.width;
    const at = (this.at ?? frame.to) + pixels * perPixel;
    this.at = Math.min(Math.max(at, frame.from), frame.to);
  }
}

export const cursor = new CursorState();
