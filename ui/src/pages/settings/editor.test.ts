import { undo } from '@codemirror/commands';
import { EditorState } from '@codemirror/state';
import { EditorView } from '@codemirror/view';
import { expect, it, vi } from 'vitest';

import type { Problem } from '../../lib/bindings';
import { between, extensions, keep, lineOfProblem, mendLine, opened, setProblems, valueEnd } from './editor';

const problem = (line: number | null, more: Partial<Problem> = {}): Problem => ({
  line,
  column: 1,
  key: null,
  message: 'It is a whole number.',
  hint: null,
  mend: null,
  ...more,
});

it('a mend replaces its line alone and keeps the indentation', () => {
  expect(mendLine('a = 1\n  b = "x"\nc = 3', 2, 'b = 32')).toBe('a = 1\n  b = 32\nc = 3');
  expect(mendLine('a', 9, 'b')).toBe('a');
});

it('a problem of a line that is gone stands on the last one', () => {
  expect(lineOfProblem(problem(57), 10)).toBe(10);
  expect(lineOfProblem(problem(null), 10)).toBeNull();
});

it('what is wrong is underlined as far as the value goes', () => {
  expect(valueEnd('max = "32 # x" # why', 6)).toBe(14);
  expect(valueEnd('max = 32   # why', 6)).toBe(8);
  expect(valueEnd('max = "open', 6)).toBe(11);
});

it('the message stands under its line, and the link writes the mend', () => {
  const changed = vi.fn();
  const parent = document.body.appendChild(document.createElement('div'));
  const view = new EditorView({
    parent,
    state: EditorState.create({
      doc: 'a = 1\nmax = "32"\n',
      extensions: extensions(changed, () => undefined),
    }),
  });
  view.dispatch({ effects: setProblems.of([problem(2, { column: 7, mend: 'max = 32' }), problem(null)]) });
  const boxes = parent.querySelectorAll('.cm-problem');
  expect(boxes).toHaveLength(1);
  expect(boxes[0]?.textContent).toBe('It is a whole number. Write max = 32');
  expect(parent.querySelector('.cm-wrong-part')?.textContent).toBe('"32"');
  boxes[0]?.querySelector('button')?.click();
  expect(changed).toHaveBeenCalledWith('a = 1\nmax = 32\n');
  view.destroy();
});

it('text that was put there by the page is no edit', () => {
  const changed = vi.fn();
  const view = new EditorView({
    state: EditorState.create({ doc: 'a', extensions: extensions(changed, () => undefined) }),
  });
  view.dispatch({ changes: { from: 0, to: 1, insert: 'b' } });
  expect(changed).not.toHaveBeenCalled();
  view.destroy();
});

it('a text from elsewhere changes only what differs', () => {
  expect(between('a = 1\nb = 2\n', 'a = 1\nb = 3\n')).toEqual({ from: 10, to: 11, insert: '3' });
  expect(between('aa', 'aaa')).toEqual({ from: 2, to: 2, insert: 'a' });
  expect(between('aaa', 'aa')).toEqual({ from: 2, to: 3, insert: '' });
  expect(between('same', 'same')).toBeNull();
});

it('what can be undone outlives the tab', () => {
  const parts = extensions(vi.fn(), vi.fn());
  const before = EditorState.create({ doc: 'a = 1', extensions: parts });
  const typed = before.update({ changes: { from: 4, to: 5, insert: '2' }, userEvent: 'input' }).state;
  let state = opened('a = 2 # mine', keep(typed), parts);
  expect(state.doc.toString()).toBe('a = 2 # mine');
  state = opened('a = 2', keep(typed), parts);
  undo({ state, dispatch: (transaction) => (state = transaction.state) });
  expect(state.doc.toString()).toBe('a = 1');
});
