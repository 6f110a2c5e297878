// Where one can be in Settings, besides the sections that the schema names.

/** Pages of their own, without the right side. */
export const PAGES = [
  // A section of that name holds how it is written; this is what was.
  ['read-log', 'Read the log'],
  ['doctor', 'Doctor'],
  ['about', 'About'],
] as const;
export type PageId = (typeof PAGES)[number][0];

/** Lists across all sections. */
export const LISTS = [
  ['changed', 'Changed by you'],
  ['staged', 'Staged'],
  ['locked', 'Locked'],
] as const;

export const TABS = [
  ['diff', 'Diff'],
  ['revisions', 'Revisions'],
  ['file', 'File'],
] as const;
export type Tab = (typeof TABS)[number][0];
export const isTab = (text: string | null): text is Tab => TABS.some(([id]) => id === text);
