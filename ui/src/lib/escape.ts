// Esc closes what is innermost: a question, a form, a menu, each for itself.

/** Calls `leave` on Esc within the element, and keeps the key from whatever lies around it. */
export function escape(element: HTMLElement, leave: () => void) {
  let now = leave;
  function keydown(event: KeyboardEvent) {
    if (event.key !== 'Escape') return;
    event.preventDefault();
    event.stopPropagation();
    now();
  }
  element.addEventListener('keydown', keydown);
  return {
    update: (next: () => void) => (now = next),
    destroy: () => element.removeEventListener('keydown', keydown),
  };
}
