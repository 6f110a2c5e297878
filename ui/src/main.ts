import './styles/fonts.css';
import './styles/tokens.css';
import './styles/base.css';

import { mount } from 'svelte';

import App from './App.svelte';
import { useHost } from './lib/host';

async function start() {
  if (import.meta.env.DEV) {
    // `npm run dev` shows invented data, labelled as simulated. The build does not contain it.
    const { devHost } = await import('./lib/host/fake-data');
    const { furnish } = await import('./pages/settings/fake');
    useHost(furnish(devHost()));
  }
  const target = document.getElementById('app');
  if (target) mount(App, { target });
}

void start();
