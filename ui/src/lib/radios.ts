// One of several, by keyboard: Tab comes to the chosen one, arrows choose the next.

const STEPS: Record<string, number> = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };

/** For an element with `role="radiogroup"`, whose buttons have `role="radio"`. */
export function radios(group: HTMLElement): { destroy: () => void } {
  const buttons = () => [...group.querySelectorAll<HTMLButtonElement>('[role="radio"]:not(:disabled)')];

  function rove() {
    const all = buttons();
    const chosen = all.find((b) => b.getAttribute('aria-checked') === 'true') ?? all[0];
    for (const button of all) button.tabIndex = button === chosen ? 0 : -1;
  }

  function keydown(event: KeyboardEvent) {
    const by = STEPS[event.key];
    const all = buttons();
    const at = all.indexOf(document.activeElement as HTMLButtonElement);
    const next = by === undefined || at < 0 ? undefined : all[(at + by + all.length) % all.length];
    if (!next || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    next.focus();
    next.click();
  }

  // What is chosen changes from elsewhere too: a search, a rollback, the palette.
  const watch = new MutationObserver(rove);
  watch.observe(group, { subtree: true, childList: true, attributeFilter: ['aria-checked', 'disabled'] });
  group.addEventListener('keydown', keydown);
  rove();
  return {
    destroy: () => {
      watch.disconnect();
      group.removeEventListener('keydown', keydown);
    },
  };
}
