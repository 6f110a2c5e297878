// WebKitGTK says that the language is "C" where the system's locale is C or
// POSIX, and Intl refuses that name. uPlot asks Intl as it loads, and the window
// would stay blank: so this runs before anything else is loaded.

/** Gives the page a language that Intl takes, if it has none. */
export function mendLanguage(nav: Navigator = navigator): void {
  if (accepted(nav.language)) return;
  const languages = (nav.languages ?? []).filter(accepted);
  const language = languages[0] ?? 'en-US';
  Object.defineProperty(nav, 'language', { configurable: true, value: language });
  Object.defineProperty(nav, 'languages', {
    configurable: true,
    value: languages.length ? languages : [language],
  });
}

function accepted(language: string | undefined): boolean {
  if (!language) return false;
  try {
    return Intl.getCanonicalLocales(language).length === 1;
  } catch {
    return false;
  }
}
