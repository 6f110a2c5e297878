import { toasts } from './state/toasts.svelte';

/** Puts text on the clipboard, and says so; where that is not allowed, says what to do instead. */
export async function copyText(text: string, said = 'Copied'): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    toasts.show(said, { seconds: 3 });
  } catch {
    toasts.show('The desktop does not allow to copy; select the text instead');
  }
}
