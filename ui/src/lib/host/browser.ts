import type { Live } from '../bindings';
import type { AnswerOf, Args, CommandName, Host, LiveHandlers, SavedFile } from './types';
import { CallError, isFault } from './types';

/** In a browser on the loopback page: HTTP for commands, server-sent events for live values. */
export function browserHost(fetcher: typeof fetch = (...a) => fetch(...a)): Host {
  return {
    kind: 'browser',
    hasDialogs: false,

    async call<K extends CommandName>(command: K, args: Args<K>): Promise<AnswerOf<K>> {
      let response: Response;
      try {
        response = await fetcher('/api/call', {
          method: 'POST',
          credentials: 'same-origin',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ command, args }),
        });
      } catch {
        throw new CallError({
          code: 'unavailable',
          message: 'Plimsoll does not answer on this address.',
          hint: 'It may have been stopped: start `plimsoll up --ui` again.',
        });
      }
      return answerOf<AnswerOf<K>>(response);
    },

    subscribe(metrics: string[], { event, connected }: LiveHandlers): () => void {
      const query = metrics.map(encodeURIComponent).join(',');
      const source = new EventSource(`/api/live?metrics=${query}`, { withCredentials: true });
      source.onopen = () => connected?.(true);
      source.onerror = () => connected?.(false);
      source.onmessage = (message: MessageEvent<string>) => event(JSON.parse(message.data) as Live);
      return () => source.close();
    },

    saveFile({ name, data }: SavedFile): Promise<string | null> {
      const url = URL.createObjectURL(data);
      const link = document.createElement('a');
      link.href = url;
      link.download = name;
      link.click();
      setTimeout(() => URL.revokeObjectURL(url), 10_000);
      return Promise.resolve(name);
    },

    choosePath: () => Promise.resolve(null),
    chooseFolder: () => Promise.resolve(null),
  };
}

/** The answer itself comes with 200; anything else carries the fault. */
async function answerOf<T>(response: Response): Promise<T> {
  let body: unknown = null;
  try {
    body = await response.json();
  } catch {
    // an empty or foreign answer: the status says enough
    if (response.ok) throw new CallError(unreadable);
  }
  if (response.ok) return body as T;
  if (isFault(body)) throw new CallError(body);
  const shut = response.status === 401 || response.status === 403;
  throw new CallError({
    code: shut ? 'denied' : 'internal',
    message: shut
      ? 'This browser is not let in any more.'
      : `Plimsoll answered with HTTP ${response.status}.`,
    hint: shut ? 'Open the address that `plimsoll up --ui` printed once more.' : null,
  });
}

const unreadable = {
  code: 'internal',
  message: 'Plimsoll answered with something that is no answer.',
  hint: 'Another program may listen on this address.',
} as const;
