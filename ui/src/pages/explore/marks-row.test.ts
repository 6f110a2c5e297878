import { cleanup, fireEvent, render, screen, waitFor } from '@testing-library/svelte';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { Mark, Revision } from '../../lib/bindings';
import { CallError, useHost } from '../../lib/host';
import { fakeHost, type FakeHost } from '../../lib/host/fake';
import { range } from '../../lib/state/range.svelte';
import { toasts } from '../../lib/state/toasts.svelte';
import { revisionOf } from '../../lib/UndoChange.svelte';
import MarksRow from './MarksRow.svelte';

let host: FakeHost;
const made: Revision = {
  number: 13,
  at_ms: 0,
  by: 'window',
  rolled_back_to: null,
  changed: [],
  diff: [],
};
const revision: Revision = {
  ...made,
  number: 12,
  changed: [{ key: 'sampling.processes_ms', old: 10_000, new: 5000 }],
};

function mark(more: Partial<Mark> = {}): Mark {
  return {
    id: 1,
    at_ms: range.view.from + 1_800_000,
    end_ms: null,
    kind: 'change',
    subject: null,
    title: 'sampling.processes_ms 10000 → 5000',
    detail: '',
    reference: 'revision:12',
    ...more,
  };
}

beforeEach(() => {
  host = fakeHost({
    'config.schema': () => [],
    'config.revisions': () => [made, revision],
    'config.undo': () => made,
  });
  useHost(host);
});
afterEach(() => {
  cleanup();
  toasts.list = [];
});

const undone = () => host.calls.filter((c) => c.command === 'config.undo').map((c) => c.args);
const glyph = () => screen.getByRole('button', { name: /^change: / });

describe('a mark of a change', () => {
  it('says what going back changes, and goes back on the spot', async () => {
    render(MarksRow, { marks: [mark()], left: 40, width: 1000 });
    await fireEvent.focusIn(glyph());
    await fireEvent.click(screen.getByRole('button', { name: 'Undo' }));
    const question = await screen.findByRole('group', { name: 'Undo change 12' });
    await waitFor(() => expect(question.textContent).toMatch(/sampling\.processes_ms\s+5000\s+→\s+10000/));
    expect(undone()).toEqual([]);
    const yes = screen.getByRole('button', { name: 'Undo it' });
    expect(document.activeElement).toBe(yes);
    await fireEvent.click(yes);
    await waitFor(() => expect(undone()).toEqual([{ revision: 12, by: 'window' }]));
    await waitFor(() => expect(toasts.list[0]?.text).toBe('Change 12 is undone, as revision 13'));
    expect(screen.queryByRole('group', { name: 'Undo change 12' })).toBeNull();
  });

  it('keeps its question open when the pointer leaves, and Esc gives it up', async () => {
    render(MarksRow, { marks: [mark()], left: 40, width: 1000 });
    const at = glyph().parentElement!;
    await fireEvent.pointerEnter(at);
    await fireEvent.click(screen.getByRole('button', { name: 'Undo' }));
    const question = await screen.findByRole('group', { name: 'Undo change 12' });
    await fireEvent.pointerLeave(at);
    expect(screen.getByRole('group', { name: 'Undo change 12' })).toBe(question);
    await fireEvent.keyDown(question, { key: 'Escape' });
    expect(screen.queryByRole('group', { name: 'Undo change 12' })).toBeNull();
    expect(undone()).toEqual([]);
    await fireEvent.pointerLeave(at);
    expect(screen.queryByText('Undo')).toBeNull();
  });

  it('that cannot be taken back says why, and nothing changes', async () => {
    host.handlers['config.undo'] = () => {
      throw new CallError({
        code: 'conflict',
        message: 'sampling.processes_ms was changed again since.',
        hint: 'Change it by hand.',
      });
    };
    render(MarksRow, { marks: [mark()], left: 40, width: 1000 });
    await fireEvent.focusIn(glyph());
    await fireEvent.click(screen.getByRole('button', { name: 'Undo' }));
    await fireEvent.click(await screen.findByRole('button', { name: 'Undo it' }));
    expect((await screen.findByRole('alert')).textContent).toContain('was changed again since');
    expect(toasts.list).toEqual([]);
  });

  it('is the only kind that offers it', () => {
    expect(revisionOf(mark())).toBe(12);
    expect(revisionOf(mark({ kind: 'alert', reference: 'alert:vram-free:1' }))).toBeNull();
    expect(revisionOf(mark({ reference: null }))).toBeNull();
    expect(revisionOf(mark({ reference: 'revision:' }))).toBeNull();
  });
});
