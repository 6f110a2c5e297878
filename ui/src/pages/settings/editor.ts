// The editor of the file: CodeMirror with TOML's colours, and what is wrong
// with a line written under it, with the mend as a link.

import { defaultKeymap, history, historyField, historyKeymap } from '@codemirror/commands';
import { HighlightStyle, StreamLanguage, syntaxHighlighting } from '@codemirror/language';
import { toml } from '@codemirror/legacy-modes/mode/toml';
import { EditorState, StateEffect, StateField, type Extension, type Text } from '@codemirror/state';
import {
  Decoration,
  drawSelection,
  EditorView,
  highlightActiveLine,
  keymap,
  lineNumbers,
  placeholder,
  WidgetType,
  type DecorationSet,
} from '@codemirror/view';
import { tags } from '@lezer/highlight';

import type { Problem } from '../../lib/bindings';

export const setProblems = StateEffect.define<readonly Problem[]>();

/** A problem's line, kept within the text as it is by now. */
export function lineOfProblem(problem: Problem, lines: number): number | null {
  if (problem.line === null) return null;
  return Math.min(Math.max(1, problem.line), lines);
}

/** The text with one line mended; its indentation stays. */
export function mendLine(text: string, line: number, by: string): string {
  const lines = text.split('\n');
  const old = lines[line - 1];
  if (old === undefined) return text;
  const indent = /^\s*/.exec(old)?.[0] ?? '';
  lines[line - 1] = /^\s/.test(by) ? by : indent + by;
  return lines.join('\n');
}

class Message extends WidgetType {
  constructor(
    readonly problem: Problem,
    readonly line: number,
  ) {
    super();
  }

  override eq(other: Message): boolean {
    return (
      other.line === this.line &&
      other.problem.message === this.problem.message &&
      other.problem.hint === this.problem.hint &&
      other.problem.mend === this.problem.mend
    );
  }

  override toDOM(view: EditorView): HTMLElement {
    const box = document.createElement('div');
    box.className = 'cm-problem';
    box.setAttribute('role', 'alert');
    const { message, hint, mend } = this.problem;
    box.append(message);
    if (mend !== null) {
      const button = document.createElement('button');
      button.type = 'button';
      button.textContent = `Write ${mend.trim()}`;
      button.addEventListener('click', () => {
        const text = view.state.doc.toString();
        const mended = mendLine(text, this.line, mend);
        view.dispatch({ changes: { from: 0, to: text.length, insert: mended }, userEvent: 'input.mend' });
        view.focus();
      });
      box.append(' ', button);
    } else if (hint) box.append(` ${hint}`);
    return box;
  }

  override ignoreEvent(): boolean {
    return true;
  }
}

const wrongLine = Decoration.line({ class: 'cm-wrong' });
const wrongPart = Decoration.mark({ class: 'cm-wrong-part' });

function decorate(doc: Text, problems: readonly Problem[]): DecorationSet {
  const ranges = [];
  const seen = new Set<number>();
  for (const problem of problems) {
    const number = lineOfProblem(problem, doc.lines);
    if (number === null) continue;
    const line = doc.line(number);
    if (!seen.has(number)) ranges.push(wrongLine.range(line.from));
    seen.add(number);
    const from = Math.min(line.to, line.from + Math.max(0, (problem.column ?? 1) - 1));
    const to = valueEnd(line.text, from - line.from) + line.from;
    if (to > from) ranges.push(wrongPart.range(from, to));
    ranges.push(
      Decoration.widget({ widget: new Message(problem, number), block: true, side: 1 }).range(line.to),
    );
  }
  return Decoration.set(ranges, true);
}

/** Where the value that begins at a column ends: a quoted text, or up to a comment. */
export function valueEnd(text: string, from: number): number {
  const quoted = /^(["'])(?:\\.|(?!\1).)*\1?/.exec(text.slice(from));
  if (quoted) return from + quoted[0].length;
  const plain = /^[^#]*/.exec(text.slice(from))?.[0] ?? '';
  return from + plain.trimEnd().length;
}

const problemField = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update(set, transaction) {
    let next = set.map(transaction.changes);
    for (const effect of transaction.effects) {
      if (effect.is(setProblems)) next = decorate(transaction.state.doc, effect.value);
    }
    return next;
  },
  provide: (field) => EditorView.decorations.from(field),
});

/** The mode names table heads and booleans alike; a head is told by its bracket. */
const tomlLanguage = StreamLanguage.define<unknown>({
  ...toml,
  token(stream, state) {
    const kind = toml.token(stream, state);
    return kind === 'atom' && stream.current().startsWith('[') ? 'heading' : kind;
  },
});

const colours = HighlightStyle.define([
  { tag: tags.comment, class: 'tok-comment' },
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], class: 'tok-key' },
  { tag: tags.string, class: 'tok-string' },
  { tag: [tags.atom, tags.bool, tags.number], class: 'tok-value' },
  { tag: [tags.tagName, tags.heading, tags.bracket], class: 'tok-head' },
]);

/** The least change that makes one text of another, so that the cursor stays where it is; `null` where they are the same. */
export function between(old: string, next: string): { from: number; to: number; insert: string } | null {
  if (old === next) return null;
  const least = Math.min(old.length, next.length);
  let from = 0;
  while (from < least && old[from] === next[from]) from += 1;
  let tail = 0;
  while (tail < least - from && old[old.length - 1 - tail] === next[next.length - 1 - tail]) tail += 1;
  return { from, to: old.length - tail, insert: next.slice(from, next.length - tail) };
}

/** Text, cursor and what can be undone, for while nobody looks at the editor. */
export const keep = (state: EditorState): unknown => state.toJSON({ history: historyField });

/** The state to open with: the one that was kept, brought up to the text, or a new one. */
export function opened(text: string, kept: unknown, parts: Extension): EditorState {
  if (!kept) return EditorState.create({ doc: text, extensions: parts });
  const state = EditorState.fromJSON(kept, { extensions: parts }, { history: historyField });
  const changes = between(state.doc.toString(), text);
  return changes ? state.update({ changes }).state : state;
}

/** Where the cursor stands, from 1. */
export function cursorOf(state: EditorState): { line: number; column: number } {
  const { head } = state.selection.main;
  const line = state.doc.lineAt(head);
  return { line: line.number, column: head - line.from + 1 };
}

export function extensions(onchange: (text: string) => void, oncursor: () => void): Extension {
  return [
    lineNumbers(),
    history(),
    drawSelection(),
    EditorView.lineWrapping,
    placeholder('There is no file yet: every setting has its default. What you write here becomes it.'),
    highlightActiveLine(),
    tomlLanguage,
    syntaxHighlighting(colours),
    problemField,
    EditorState.tabSize.of(2),
    EditorView.contentAttributes.of({ 'aria-label': 'plimsoll.toml', spellcheck: 'false' }),
    // Tab goes on to what comes next: the editor must not be a trap for the keyboard.
    // Ctrl-Enter applies, here as everywhere.
    keymap.of([...defaultKeymap.filter((binding) => binding.key !== 'Mod-Enter'), ...historyKeymap]),
    EditorView.updateListener.of((update) => {
      if (
        update.docChanged &&
        update.transactions.some(
          (t) =>
            t.isUserEvent('input') ||
            t.isUserEvent('delete') ||
            t.isUserEvent('move') ||
            t.isUserEvent('undo') ||
            t.isUserEvent('redo'),
        )
      ) {
        onchange(update.state.doc.toString());
      }
      if (update.selectionSet || update.docChanged) oncursor();
    }),
  ];
}
