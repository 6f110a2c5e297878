import { svelte } from '@sveltejs/vite-plugin-svelte';
import { svelteTesting } from '@testing-library/svelte/vite';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  plugins: [svelte(), svelteTesting()],
  // The desktop and the loopback page both serve the build from the root.
  base: '/',
  build: {
    // WebKitGTK 2.40 (Debian 12) is Safari 16.4.
    target: ['safari16.4', 'chrome111', 'firefox115'],
    sourcemap: false,
    assetsInlineLimit: 0,
  },
  server: { port: 5187, strictPort: true },
  test: {
    environment: 'happy-dom',
    include: ['src/**/*.test.ts'],
    setupFiles: ['src/lib/testing/setup.ts'],
    restoreMocks: true,
  },
});
