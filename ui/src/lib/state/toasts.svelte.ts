// Short news at the lower edge: something was done, and how to take it back. Never an error.

export interface Toast {
  id: number;
  text: string;
  action?: { label: string; keys?: string; run: () => void };
  /** When it goes away by itself. */
  until: number;
}

class Toasts {
  list = $state.raw<Toast[]>([]);
  #next = 1;

  /** Shows a sentence for some seconds; answers how to take it away before. */
  show(text: string, options: { action?: Toast['action']; seconds?: number } = {}): () => void {
    const ms = (options.seconds ?? 6) * 1000;
    const toast: Toast = { id: this.#next++, text, action: options.action, until: Date.now() + ms };
    this.list = [...this.list.slice(-2), toast];
    const drop = () => {
      clearTimeout(timer);
      this.list = this.list.filter((t) => t.id !== toast.id);
    };
    const timer = setTimeout(drop, ms);
    return drop;
  }
}

export const toasts = new Toasts();
