// A door with nothing behind it, for tests and for `npm run dev`. It is not part
// of the build: main.ts imports it in development only.

import type { Live } from '../bindings';
import type { AnswerOf, Args, CommandName, Host, LiveHandlers, SavedFile } from './types';
import { CallError } from './types';

export type Handlers = { [K in CommandName]?: (args: Args<K>) => AnswerOf<K> | Promise<AnswerOf<K>> };

export interface FakeHost extends Host {
  readonly handlers: Handlers;
  /** Every call, in order. */
  readonly calls: { command: CommandName; args: unknown }[];
  /** What was saved, newest last. */
  readonly saved: SavedFile[];
  /** Metrics asked for now; `null` while nobody listens. */
  readonly subscribed: string[] | null;
  /** Sends a live event to whoever listens. */
  emit(live: Live): void;
  /** Says that the stream opened or broke. */
  link(connected: boolean): void;
}

export function fakeHost(handlers: Handlers = {}, onSubscribe?: (fake: FakeHost) => () => void): FakeHost {
  let linked = true;
  let listening: { metrics: string[]; handlers: LiveHandlers } | null = null;
  const fake: FakeHost = {
    kind: 'fake',
    hasDialogs: false,
    handlers,
    calls: [],
    saved: [],
    get subscribed() {
      return listening?.metrics ?? null;
    },
    async call<K extends CommandName>(command: K, args: Args<K>): Promise<AnswerOf<K>> {
      fake.calls.push({ command, args });
      // Never at once: a real door is not either.
      await Promise.resolve();
      const handler = fake.handlers[command] as
        ((args: Args<K>) => AnswerOf<K> | Promise<AnswerOf<K>>) | undefined;
      if (!handler) {
        throw new CallError({
          code: 'unavailable',
          message: `The fake has no answer to ${command}.`,
          hint: null,
        });
      }
      return handler(args);
    },
    subscribe(metrics, listener) {
      const mine = { metrics, handlers: listener };
      listening = mine;
      linked = true;
      const stop = onSubscribe?.(fake);
      // Unless the stream was said to be broken from the start.
      if (linked) queueMicrotask(() => listener.connected?.(true));
      return () => {
        stop?.();
        if (listening === mine) listening = null;
      };
    },
    saveFile(file) {
      fake.saved.push(file);
      return Promise.resolve(file.name);
    },
    choosePath: () => Promise.resolve(null),
    chooseFolder: () => Promise.resolve(null),
    emit: (live) => listening?.handlers.event(live),
    link: (connected) => {
      linked = connected;
      listening?.handlers.connected?.(connected);
    },
  };
  return fake;
}
