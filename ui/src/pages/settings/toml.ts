// Words of a line of TOML, for the diff. The editor has a parser; a diff's line stands alone.

export type TokenKind = 'head' | 'key' | 'string' | 'comment' | 'plain';

export interface Token {
  kind: TokenKind;
  text: string;
}

export function tokens(line: string): Token[] {
  const at = commentAt(line);
  const code = line.slice(0, at);
  const out: Token[] = [];
  const key = /^(\s*)([A-Za-z0-9_."'-]+(?:\s*\.\s*[A-Za-z0-9_"'-]+)*)(\s*=.*)$/s.exec(code);
  if (/^\s*\[.*\]\s*$/.test(code)) out.push({ kind: 'head', text: code });
  else if (key) {
    out.push({ kind: 'plain', text: key[1] ?? '' }, { kind: 'key', text: key[2] ?? '' });
    for (const part of (key[3] ?? '').split(/("(?:[^"\\]|\\.)*"|'[^']*')/)) {
      out.push({ kind: /^["']/.test(part) ? 'string' : 'plain', text: part });
    }
  } else out.push({ kind: 'plain', text: code });
  if (at < line.length) out.push({ kind: 'comment', text: line.slice(at) });
  return out.filter((token) => token.text !== '');
}

/** Where the comment begins: at the first # outside quotes. */
function commentAt(line: string): number {
  let quote = '';
  for (let i = 0; i < line.length; i++) {
    const c = line[i];
    if (quote) {
      if (c === '\\' && quote === '"') i += 1;
      else if (c === quote) quote = '';
    } else if (c === '"' || c === "'") quote = c;
    else if (c === '#') return i;
  }
  return line.length;
}
