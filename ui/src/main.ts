import './styles/fonts.css';
import './styles/tokens.css';
import './styles/reset.css';
import './styles/text.css';
import './styles/controls.css';
import './styles/panels.css';
import './styles/marks.css';

import { mendLanguage } from './lib/locale';

async function start() {
  mendLanguage();
  // Loaded after that, not with it: some of it asks for the language as it loads.
  const [{ mount }, { default: App }] = await Promise.all([import('svelte'), import('./App.svelte')]);
  if (import.meta.env.DEV) {
    // `npm run dev` shows invented data, labelled as simulated. The build does not contain it.
    const { useHost } = await import('./lib/host');
    const { devHost } = await import('./lib/host/fake-data');
    const { furnish } = await import('./pages/settings/fake');
    const { furnishLimits } = await import('./pages/limits/fake');
    useHost(furnishLimits(furnish(devHost())));
  }
  const target = document.getElementById('app');
  if (target) mount(App, { target });
}

void start();
