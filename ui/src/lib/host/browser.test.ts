import { expect, it, vi } from 'vitest';

import { browserHost } from './browser';
import { base64 } from './tauri';

const respond = (status: number, body: unknown) =>
  vi.fn(() => Promise.resolve(new Response(JSON.stringify(body), { status }))) as unknown as typeof fetch;

it('sends a command as the table has it and opens the answer', async () => {
  const fetcher = respond(200, { message: 'done' });
  const host = browserHost(fetcher);
  expect(await host.call('jobs.cancel', { job: 7 })).toEqual({ message: 'done' });
  const [url, init] = vi.mocked(fetcher).mock.calls[0] ?? [];
  expect(url).toBe('/api/call');
  expect(init?.method).toBe('POST');
  expect(init?.body).toBe('{"command":"jobs.cancel","args":{"job":7}}');
});

it('a fault comes as it was said', async () => {
  const fault = { code: 'conflict', message: 'The file has changed.', hint: 'Load it again.' };
  await expect(browserHost(respond(409, fault)).call('config', {})).rejects.toMatchObject({ fault });
});

it('a browser without its cookie is told how to come back', async () => {
  await expect(browserHost(respond(401, {})).call('status', {})).rejects.toMatchObject({
    fault: { code: 'denied', hint: expect.stringContaining('plimsoll up --ui') },
  });
});

it('a Plimsoll that is gone is unavailable, not an internal fault', async () => {
  const gone = vi.fn(() => Promise.reject(new TypeError('Failed to fetch'))) as unknown as typeof fetch;
  await expect(browserHost(gone).call('status', {})).rejects.toMatchObject({
    fault: { code: 'unavailable' },
  });
});

it('bytes survive base64, also many of them', () => {
  const bytes = new Uint8Array(100_000).map((_, i) => i % 251);
  expect(Uint8Array.from(atob(base64(bytes)), (c) => c.charCodeAt(0))).toEqual(bytes);
});
