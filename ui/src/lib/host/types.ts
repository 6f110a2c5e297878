// The window's only door to Plimsoll. Nothing outside this folder knows whether
// the window runs in the desktop program or in a browser.

import type { Commands, Fault, Live } from '../bindings';

export type CommandName = keyof Commands;
export type Args<K extends CommandName> = Commands[K]['args'];
export type AnswerOf<K extends CommandName> = Commands[K]['answer'];

/** What a command answers instead of its answer. `message` is for the person. */
export class CallError extends Error {
  readonly fault: Fault;

  constructor(fault: Fault) {
    super(fault.message);
    this.name = 'CallError';
    this.fault = fault;
  }
}

export interface LiveHandlers {
  event(live: Live): void;
  /** The stream opened or broke; it is opened again by itself. */
  connected?(yes: boolean): void;
}

export interface SavedFile {
  /** Proposed name, e.g. `plimsoll-gpu.csv`. */
  name: string;
  mime: string;
  data: Blob;
}

export interface PathQuestion {
  title: string;
  /** Proposed file name or folder. */
  proposed?: string;
  /** Endings without the dot, e.g. `['csv']`. */
  extensions?: string[];
}

export interface Host {
  /** `fake` exists in development and in tests only. */
  readonly kind: 'desktop' | 'browser' | 'fake';
  /** Rejects with a {@link CallError}, whatever went wrong. */
  call<K extends CommandName>(command: K, args: Args<K>): Promise<AnswerOf<K>>;
  /** Listens to live events; a later subscription replaces the earlier one. Answers how to end it. */
  subscribe(metrics: string[], handlers: LiveHandlers): () => void;
  /** Asks where to save, or downloads. Answers the path or name; `null` where the person changed their mind. */
  saveFile(file: SavedFile): Promise<string | null>;
  /** A path on the machine to write to. A browser cannot choose one: `null`, and the page asks for text instead. */
  choosePath(question: PathQuestion): Promise<string | null>;
  /** An existing folder on the machine; as above. */
  chooseFolder(question: PathQuestion): Promise<string | null>;
  /** True where `choosePath` and `chooseFolder` open a dialog. */
  readonly hasDialogs: boolean;
}

/** Anything thrown, as a fault a person can read. */
export function toFault(thrown: unknown): Fault {
  if (thrown instanceof Error && 'fault' in thrown && isFault(thrown.fault)) return thrown.fault;
  if (isFault(thrown)) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return { code: 'internal', message: message || 'Something went wrong.', hint: null };
}

export function isFault(value: unknown): value is Fault {
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof (value as Fault).code === 'string' &&
    typeof (value as Fault).message === 'string'
  );
}
