// Cells and names of what is saved as a table. Pure.

const QUOTED = /[",\n\r]/;
/** What a table's program would take for a formula is text. */
const FORMULA = /^[=+\-@\t\r]/;

export function cell(text: string): string {
  const plain = FORMULA.test(text) ? `'${text}` : text;
  return QUOTED.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
}

/** A moment in a file's name: `20261121-1250`. */
export function stampOf(at_ms: number): string {
  const d = new Date(at_ms);
  const two = (n: number) => String(n).padStart(2, '0');
  return `${d.getFullYear()}${two(d.getMonth() + 1)}${two(d.getDate())}-${two(d.getHours())}${two(d.getMinutes())}`;
}
