// What the window remembers for itself, kept by Plimsoll so that window and browser agree.

import { call } from '../host';

/** The remembered value, or `otherwise` where there is none or it does not parse. */
export async function recall<T>(key: string, otherwise: T, fits: (value: unknown) => value is T): Promise<T> {
  try {
    const text = await call('recall', { key });
    const value: unknown = text === null ? null : JSON.parse(text);
    return fits(value) ? value : otherwise;
  } catch {
    return otherwise;
  }
}

const waiting = new Map<string, ReturnType<typeof setTimeout>>();

/** Keeps a value, at most once in half a second for each key. Losing it is no fault worth telling. */
export function remember(key: string, value: unknown): void {
  clearTimeout(waiting.get(key));
  waiting.set(
    key,
    setTimeout(() => {
      waiting.delete(key);
      void call('remember', { key, value: JSON.stringify(value) }).catch(() => undefined);
    }, 500),
  );
}
