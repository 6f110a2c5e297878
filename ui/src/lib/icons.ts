// Line icons on a 16 px grid, drawn for the rail; one path list each.

import type { PageId } from './router.svelte';

export const PAGE_ICONS: Record<PageId, string> = {
  overview: 'M2.5 11.5a6 6 0 1 1 11 0M8 9.5l2.6-3.4M8.6 9.7a.6.6 0 1 1-1.2 0a.6.6 0 1 1 1.2 0',
  explore: 'M2.5 2.5v11h11M4.5 10l2.5-3.5l2 2l4-5',
  processes: 'M2.5 3.5h11M5 8h8.5M5 12.5h8.5M2.5 3.5v9',
  services: 'M2.5 3h11v4h-11zM2.5 9h11v4h-11zM5 5h.01M5 11h.01',
  traffic: 'M2 5.5h11M10 2.5l3 3l-3 3M14 10.5h-11M6 7.5l-3 3l3 3',
  limits:
    'M2.5 4.5h6M12 4.5h1.5M2.5 11.5H4M7.5 11.5h6M11.9 4.5a1.7 1.7 0 1 1-3.4 0a1.7 1.7 0 1 1 3.4 0M7.5 11.5a1.7 1.7 0 1 1-3.4 0a1.7 1.7 0 1 1 3.4 0',
  settings:
    'M10 8a2 2 0 1 1-4 0a2 2 0 1 1 4 0M8 1.8v1.8M8 12.4v1.8M1.8 8h1.8M12.4 8h1.8M3.6 3.6l1.3 1.3M11.1 11.1l1.3 1.3M12.4 3.6l-1.3 1.3M4.9 11.1l-1.3 1.3',
};
