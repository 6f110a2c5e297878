// Pages by hash: `#/explore?series=gpu.vram.used`. The hash survives a reload and needs no server.

export const PAGES = [
  'overview',
  'explore',
  'processes',
  'services',
  'traffic',
  'limits',
  'settings',
] as const;
export type PageId = (typeof PAGES)[number];

export const TITLES: Record<PageId, string> = {
  overview: 'Overview',
  explore: 'Explore',
  processes: 'Processes',
  services: 'Services',
  traffic: 'Traffic',
  limits: 'Limits',
  settings: 'Settings',
};

export interface Route {
  page: PageId;
  /** What follows the page, e.g. `['alerts']` of `#/settings/alerts`. */
  rest: string[];
  query: URLSearchParams;
}

export function parse(hash: string): Route {
  const [path = '', search = ''] = hash.replace(/^#\/?/, '').split('?', 2);
  const [first = '', ...rest] = path.split('/').filter(Boolean).map(decode);
  const page = (PAGES as readonly string[]).includes(first) ? (first as PageId) : 'overview';
  return { page, rest, query: new URLSearchParams(search) };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

class Router {
  route = $state.raw<Route>(parse(location.hash));

  start(): () => void {
    const changed = () => (this.route = parse(location.hash));
    changed();
    addEventListener('hashchange', changed);
    return () => removeEventListener('hashchange', changed);
  }

  /** Opens a page, e.g. `go('settings', 'alerts')` or `go('explore', '?series=cpu.busy')`. */
  go(page: PageId, ...rest: string[]): void {
    location.hash = href(page, ...rest);
  }
}

export function href(page: PageId, ...rest: string[]): string {
  const query = rest.find((part) => part.startsWith('?')) ?? '';
  const path = rest.filter((part) => !part.startsWith('?')).map(encodeURIComponent);
  return `#/${[page, ...path].join('/')}${query}`;
}

export const router = new Router();
