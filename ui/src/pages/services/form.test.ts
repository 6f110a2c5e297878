import { describe, expect, it } from 'vitest';

import type { SettingState, SettingValue } from '../../lib/bindings';
import { BLANK, changesOf, fieldOf, lockedOf, problemsOf, typedOf, wholeUrl } from './form';

const typed = (more: Partial<typeof BLANK>) => ({ ...BLANK, url: 'http://127.0.0.1:8080', ...more });
const state = (
  key: string,
  value: SettingValue,
  origin: SettingState['origin'] = { from: 'file', line: 1 },
): SettingState => ({ key, spec: key, value, default: '', origin });

describe('an address', () => {
  it('may be written short', () => {
    expect(wholeUrl('8080')).toBe('http://127.0.0.1:8080');
    expect(wholeUrl(' :11434 ')).toBe('http://127.0.0.1:11434');
    expect(wholeUrl('localhost:6379')).toBe('redis://localhost:6379');
    expect(wholeUrl('box.lan:8000/v1')).toBe('http://box.lan:8000/v1');
    expect(wholeUrl('[::1]:8080')).toBe('http://[::1]:8080');
    expect(wholeUrl('https://x')).toBe('https://x');
    // Not made into something that it never was.
    expect(wholeUrl('my server')).toBe('my server');
    expect(wholeUrl('')).toBe('');
  });

  it('that is none says what is allowed', () => {
    const problem = (url: string) => problemsOf(typed({ url })).url;
    expect(problem('')).toContain('http://127.0.0.1:8080');
    expect(problem('ftp://x')).toContain('begins with');
    expect(problem('http://')).toBe('It names no host.');
    expect(problem('http://me:secret@x')).toContain('key file');
    expect(problem('http://x:99999')).toBe('This is no address.');
    expect(problem(`http://${'x'.repeat(600)}`)).toContain('512');
    expect(problem('my server')).toContain('begins with');
    for (const good of ['8080', 'http://x', 'https://x/v1', 'redis://x:6379', 'rediss://x', 'http://[::1]:1'])
      expect(problem(good)).toBeUndefined();
  });
});

it('a key file is a whole path, and a pause is none or long enough', () => {
  expect(problemsOf(typed({ key_file: 'key' })).key_file).toContain('/');
  expect(problemsOf(typed({ key_file: '/k', scrape_ms: '' }))).toEqual({});
  for (const bad of ['100', 'x', '1.5', '700000'])
    expect(problemsOf(typed({ scrape_ms: bad })).scrape_ms).toBe('0, or 250 to 600000.');
});

it('a fault of the other side finds its field', () => {
  const field = (message: string) => fieldOf({ code: 'invalid', message, hint: null });
  expect(field('services.chat.url names no host.')).toBe('url');
  expect(field('Its key file /k cannot be used: it is empty.')).toBe('key_file');
  expect(field('There is no kind of service "lama".')).toBe('kind');
  expect(field('There is a service chat already.')).toBe('name');
  expect(field('The disk is full.')).toBeNull();
});

describe('one of the settings', () => {
  const settings = [
    state('services.chat.url', 'http://127.0.0.1:8080'),
    state('services.chat.scrape_ms', 2000),
    state('services.chat.name', 'Chat', { from: 'environment', variable: 'PLIMSOLL_SERVICES__CHAT__NAME' }),
    state('services.other.url', 'http://x'),
  ];

  it('stands in the form as the settings have it; what a variable holds is locked', () => {
    expect(typedOf('chat', settings)).toEqual(typed({ name: 'Chat', scrape_ms: '2000' }));
    expect(lockedOf('chat', settings)).toEqual({ name: 'PLIMSOLL_SERVICES__CHAT__NAME' });
  });

  it('only what changed is written, and what is as without a line loses it', () => {
    const before = typedOf('chat', settings);
    expect(changesOf('chat', before, { ...before })).toEqual([]);
    const after = { ...before, url: '8081', scrape_ms: '0', enabled: false };
    expect(changesOf('chat', before, after)).toEqual([
      { key: 'services.chat.url', value: 'http://127.0.0.1:8081' },
      { key: 'services.chat.enabled', value: false },
      { key: 'services.chat.scrape_ms', value: null },
    ]);
  });
});
