// A list of rows by keyboard.

/** The row to which a key leads, within the list; `null` for a key that leads nowhere. */
export function rowAt(key: string, at: number, count: number, page: number): number | null {
  const to: Record<string, number> = {
    ArrowDown: at + 1,
    ArrowUp: at - 1,
    PageDown: at + page,
    PageUp: at - page,
    Home: 0,
    End: count - 1,
  };
  const row = Object.hasOwn(to, key) ? to[key] : undefined;
  return row === undefined || count === 0 ? null : Math.min(Math.max(row, 0), count - 1);
}
