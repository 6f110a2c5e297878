// Short news at the lower edge: something was done, and how to take it back. Never an error.

export interface Action {
  label: string;
  keys?: string;
  run: () => void;
  /** A newer one took its place. */
  over?: () => void;
}

export interface Toast {
  id: number;
  text: string;
  action?: Action;
  /** When it goes away by itself. */
  until: number;
}

class Toasts {
  list = $state.raw<Toast[]>([]);
  #next = 1;

  /**
   * Shows a sentence for some seconds; answers how to take it away before. Only the newest one
   * has its button: two of the same name would leave open what each takes back.
   */
  show(text: string, options: { action?: Toast['action']; seconds?: number } = {}): () => void {
    const ms = (options.seconds ?? 6) * 1000;
    const toast: Toast = { id: this.#next++, text, action: options.action, until: Date.now() + ms };
    const before = toast.action ? this.list.map((t) => this.#without(t)) : this.list;
    this.list = [...before.slice(-2), toast];
    const drop = () => {
      clearTimeout(timer);
      this.list = this.list.filter((t) => t.id !== toast.id);
    };
    const timer = setTimeout(drop, ms);
    return drop;
  }

  #without({ action, ...toast }: Toast): Toast {
    action?.over?.();
    return toast;
  }
}

export const toasts = new Toasts();
