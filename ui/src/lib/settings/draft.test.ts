import { flushSync } from 'svelte';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import type { ConfigEdit, ConfigView, SettingSpec } from '../bindings';
import { CallError, useHost } from '../host';
import { fakeHost, type FakeHost } from '../host/fake';
import { session } from '../state/session.svelte';
import { toasts } from '../state/toasts.svelte';
import { draft } from './draft.svelte';

const spec: SettingSpec = {
  key: 'a.x',
  section: 'A',
  label: 'X',
  meaning: 'Says.',
  accepts: { type: 'integer', min: 1, max: 99 },
  unit: null,
  default: 10,
  conservative: null,
  aggressive: null,
  live: true,
};
let view: ConfigView;
let fake: FakeHost;
let applied: ConfigEdit[];

beforeEach(async () => {
  vi.useFakeTimers();
  applied = [];
  view = {
    path: '/p',
    text: 'x = 20\n',
    revision: 7,
    digest: 'one',
    problems: [],
    settings: [{ key: 'a.x', spec: 'a.x', value: 20, default: 10, origin: { from: 'file', line: 1 } }],
  };
  fake = fakeHost({
    config: () => view,
    'config.schema': () => [spec],
    'config.preview': (edit) => ({
      text: 'new',
      diff: [],
      problems:
        edit.text === 'bad'
          ? [{ line: 3, column: 1, key: null, message: 'No.', hint: null, mend: null }]
          : [],
      restart: [],
    }),
    'config.apply': (edit) => {
      applied.push(edit);
      if (edit.base !== view.digest)
        throw new CallError({
          code: 'conflict',
          message: 'The file changed since you opened it.',
          hint: null,
        });
      view = { ...view, revision: view.revision + 1, digest: 'two' };
      return { number: view.revision, at_ms: 1, by: edit.by, rolled_back_to: null, changed: [], diff: [] };
    },
    'config.undo': ({ by }) => ({
      number: 99,
      at_ms: 1,
      by,
      rolled_back_to: null,
      changed: [],
      diff: [],
    }),
  });
  useHost(fake);
  draft.specs = [spec];
  await session.reload();
  flushSync();
});
afterEach(() => {
  draft.clear();
  toasts.list = [];
  vi.useRealTimers();
});

const item = () => draft.byKey.get('a.x')!;
async function settle() {
  await vi.advanceTimersByTimeAsync(300);
  flushSync();
}

describe('a draft', () => {
  it('is ready only when its preview found nothing wrong', async () => {
    draft.edit('bad');
    await settle();
    expect(draft.problems[0]?.line).toBe(3);
    expect(draft.ready).toBe(false);
    expect(await draft.apply()).toBe(false);
    expect(applied).toEqual([]);
  });

  it('applies what was staged on the text it started from, and offers to undo it', async () => {
    draft.set(item(), 30);
    await settle();
    expect(draft.ready).toBe(true);
    expect(await draft.apply()).toBe(true);
    expect(applied).toEqual([
      { base: 'one', changes: [{ key: 'a.x', value: 30 }], text: null, by: 'window' },
    ]);
    expect(draft.clean).toBe(true);
    expect(toasts.list[0]?.text).toBe('Applied as revision 8');
    await draft.undo();
    // Its own change only: what a terminal changed since stays.
    expect(fake.calls.findLast((c) => c.command === 'config.undo')?.args).toEqual({
      revision: 8,
      by: 'window',
    });
    expect(fake.calls.some((c) => c.command === 'config.rollback')).toBe(false);
    await vi.advanceTimersByTimeAsync(11_000);
    expect(draft.undoOf).toBeNull();
  });

  it('says why it cannot be undone alone, and changes nothing else', async () => {
    fake.handlers['config.undo'] = () => {
      throw new CallError({
        code: 'conflict',
        message: 'Revision 8 cannot be taken back alone: a.x is 40 by now, no longer 30.',
        hint: null,
      });
    };
    draft.set(item(), 30);
    await settle();
    await draft.apply();
    await draft.undo();
    expect(toasts.list.at(-1)?.text).toBe(
      'Not undone: Revision 8 cannot be taken back alone: a.x is 40 by now, no longer 30.',
    );
  });

  it('that changes nothing makes nothing known and offers no undo of what another made', async () => {
    const heard: number[] = [];
    const stop = draft.onMade((made) => heard.push(made.number));
    fake.handlers['config.apply'] = (edit) => ({
      number: 7,
      at_ms: 1,
      by: edit.by,
      rolled_back_to: null,
      changed: [{ key: 'a.x', old: 10, new: 20 }],
      diff: [],
    });
    draft.set(item(), 30);
    await settle();
    expect(await draft.apply()).toBe(true);
    stop();
    expect(heard).toEqual([]);
    expect(draft.undoOf).toBeNull();
    expect(toasts.list.map((t) => [t.text, t.action])).toEqual([
      ['Nothing to change: it is so already', undefined],
    ]);
  });

  it('never writes over a file that changed, and keeps what was staged', async () => {
    draft.set(item(), 30);
    await settle();
    view = { ...view, digest: 'other', text: 'x = 21\n' };
    expect(await draft.apply()).toBe(false);
    flushSync();
    expect(draft.fault?.code).toBe('conflict');
    expect(draft.conflict).toBe(true);
    expect(draft.ready).toBe(false);
    expect(draft.staged.get('a.x')).toBe(30);
    draft.rebase();
    await settle();
    expect(draft.ready).toBe(true);
    expect(await draft.apply()).toBe(true);
    expect(applied.map((edit) => edit.base)).toEqual(['one', 'other']);
  });

  it('holds a text edited by hand and what is staged after it, and applies both', async () => {
    draft.set(item(), 30);
    await settle();
    expect(draft.shown).toEqual({ text: 'new', holds: true });
    draft.edit('new # and a word\n');
    expect(draft.staged.size).toBe(0);
    draft.set(item(), 50);
    await settle();
    await draft.apply();
    expect(applied).toEqual([
      { base: 'one', changes: [{ key: 'a.x', value: 50 }], text: 'new # and a word\n', by: 'window' },
    ]);
  });

  it('keeps what is staged while the file is no TOML that it could be written into', async () => {
    fake.handlers['config.preview'] = (edit) => ({
      text: edit.text ?? view.text,
      diff: [],
      problems: [{ line: 1, column: 1, key: null, message: 'No.', hint: null, mend: null }],
      restart: [],
    });
    draft.set(item(), 30);
    await settle();
    expect(draft.shown).toEqual({ text: 'x = 20\n', holds: false });
    draft.edit('x = \n');
    await settle();
    expect(draft.staged.get('a.x')).toBe(30);
    expect(draft.text).toBe('x = \n');
  });

  it('keeps what is staged when somebody types before it is worked out', () => {
    draft.set(item(), 30);
    draft.edit('x = 20 # quick\n');
    expect(draft.staged.get('a.x')).toBe(30);
  });

  it('comes back whole after it was discarded', async () => {
    draft.edit('x = 40\n');
    draft.set(item(), 30);
    draft.discard();
    expect(draft.clean).toBe(true);
    toasts.list[0]?.action?.run();
    await settle();
    expect([draft.text, draft.staged.get('a.x'), draft.base]).toEqual(['x = 40\n', 30, 'one']);
    expect(toasts.list).toEqual([]);
  });

  it('of the text as it is in the file is no draft', () => {
    draft.edit('x = 20\n');
    expect(draft.clean).toBe(true);
  });

  it('takes no answer of an older question', async () => {
    let release: (() => void)[] = [];
    fake.handlers['config.preview'] = (edit) =>
      new Promise((answer) =>
        release.push(() => answer({ text: String(edit.text), diff: [], problems: [], restart: [] })),
      );
    draft.edit('first');
    await vi.advanceTimersByTimeAsync(250);
    draft.edit('second');
    await vi.advanceTimersByTimeAsync(250);
    release.reverse().forEach((run) => run());
    await settle();
    expect(draft.preview?.text).toBe('second');
  });
});
