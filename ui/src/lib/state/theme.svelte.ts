// Which theme is on the screen: the setting `window.theme`, or the system's choice, followed live.

import { session } from './session.svelte';

export type Theme = 'dark' | 'light';

class ThemeState {
  #system = $state<Theme>('dark');
  choice = $derived(session.setting<string>('window.theme', 'system'));
  current = $derived<Theme>(this.choice === 'dark' || this.choice === 'light' ? this.choice : this.#system);

  /** Follows the system and stamps the document; answers how to stop. */
  start(): () => void {
    const light = matchMedia('(prefers-color-scheme: light)');
    const changed = () => (this.#system = light.matches ? 'light' : 'dark');
    changed();
    light.addEventListener('change', changed);
    const stop = $effect.root(() => {
      $effect(() => {
        // Before the setting is known the attribute stays off, and tokens.css follows the system.
        if (session.config) document.documentElement.dataset.theme = this.current;
      });
    });
    return () => {
      light.removeEventListener('change', changed);
      stop();
    };
  }
}

export const theme = new ThemeState();
