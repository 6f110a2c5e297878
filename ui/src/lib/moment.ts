// Moments as a person types them. WebKitGTK has no date picker, so text it is.

/** `2026-11-21 12:50`, seconds optional; a time alone means today. Local time; `null` where it is none. */
export function parseMoment(text: string, now: number): number | null {
  const match = /^\s*(?:(\d{4})-(\d{1,2})-(\d{1,2})[ T]*)?(?:(\d{1,2}):(\d{2})(?::(\d{2}))?)?\s*$/.exec(text);
  if (!match || text.trim() === '') return null;
  const [, y, mo, d, h, mi, s] = match.map((part) => (part === undefined ? undefined : Number(part)));
  const today = new Date(now);
  const year = y ?? today.getFullYear();
  const month = mo ?? today.getMonth() + 1;
  const day = d ?? today.getDate();
  const moment = new Date(year, month - 1, day, h ?? 0, mi ?? 0, s ?? 0);
  // A Date wraps what is out of range; a person's typo must not become another day.
  const kept = moment.getFullYear() === year && moment.getMonth() === month - 1 && moment.getDate() === day;
  if (!kept || (h ?? 0) > 23 || (mi ?? 0) > 59 || (s ?? 0) > 59) return null;
  return moment.getTime();
}

/** The same the other way, to the minute (or second, where it matters). */
export function writeMoment(ms: number, seconds = false): string {
  const d = new Date(ms);
  const two = (n: number) => String(n).padStart(2, '0');
  const date = `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}`;
  return `${date} ${two(d.getHours())}:${two(d.getMinutes())}${seconds ? `:${two(d.getSeconds())}` : ''}`;
}
