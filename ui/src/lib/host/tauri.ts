import { Channel, invoke } from '@tauri-apps/api/core';

import type { Live } from '../bindings';
import type { AnswerOf, Args, CommandName, Host, LiveHandlers, PathQuestion, SavedFile } from './types';
import { CallError, isFault, toFault } from './types';

/** In the desktop program: Tauri's own way between window and process. */
export function tauriHost(): Host {
  let newest = 0;
  return {
    kind: 'desktop',
    hasDialogs: true,

    async call<K extends CommandName>(command: K, args: Args<K>): Promise<AnswerOf<K>> {
      try {
        return await invoke<AnswerOf<K>>('call', { command: { command, args } });
      } catch (thrown) {
        throw new CallError(faultOf(thrown));
      }
    },

    subscribe(metrics: string[], { event, connected }: LiveHandlers): () => void {
      let ended = false;
      const mine = ++newest;
      const channel = new Channel<Live>();
      channel.onmessage = (live) => {
        if (!ended) event(live);
      };
      const begun = invoke('subscribe', { metrics, channel }).then(
        () => !ended && connected?.(true),
        () => !ended && connected?.(false),
      );
      return () => {
        ended = true;
        // Not before it began: what is ended first begins afterwards, and a hidden window would be
        // sent every tick. A newer subscription replaces this one by itself.
        void begun
          .then(() => {
            if (mine === newest) return invoke('unsubscribe', { id: channel.id });
          })
          .catch(() => undefined);
      };
    },

    async saveFile({ name, data }: SavedFile): Promise<string | null> {
      const bytes = new Uint8Array(await data.arrayBuffer());
      try {
        // The process asks for the place and writes, so that the window itself may write nowhere.
        return await invoke<string | null>('save_file', { name, base64: base64(bytes) });
      } catch (thrown) {
        throw new CallError(faultOf(thrown));
      }
    },

    choosePath({ title, proposed, extensions }: PathQuestion): Promise<string | null> {
      const filters = extensions ? [{ name: extensions.join(', '), extensions }] : [];
      return invoke<string | null>('plugin:dialog|save', {
        options: { title, defaultPath: proposed, filters },
      });
    },

    chooseFolder({ title, proposed }: PathQuestion): Promise<string | null> {
      return invoke<string | null>('plugin:dialog|open', {
        options: { title, defaultPath: proposed, directory: true, multiple: false },
      });
    },
  };
}

function faultOf(thrown: unknown) {
  if (isFault(thrown)) return thrown;
  if (typeof thrown === 'string') {
    try {
      const parsed: unknown = JSON.parse(thrown);
      if (isFault(parsed)) return parsed;
    } catch {
      // not JSON: the text itself is the message
    }
  }
  return toFault(thrown);
}

/** In steps: `String.fromCharCode` takes only so many arguments. */
export function base64(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += 0x8000) {
    text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  }
  return btoa(text);
}
