import { expect, it } from 'vitest';

import { mendLanguage } from './locale';

const nav = (language: string, languages: string[] = [language]) =>
  ({ language, languages }) as unknown as Navigator;

it('a language that Intl refuses becomes one that it takes', () => {
  for (const language of ['C', 'C.UTF-8', '']) {
    const mended = nav(language);
    mendLanguage(mended);
    expect(mended.language, language).toBe('en-US');
    expect(() => new Intl.NumberFormat(mended.language)).not.toThrow();
  }
});

it('another language of the person comes before English', () => {
  const mended = nav('C', ['C', 'de-DE']);
  mendLanguage(mended);
  expect(mended.language).toBe('de-DE');
});

it('a good language stays', () => {
  const good = nav('fr-FR');
  mendLanguage(good);
  expect(good.language).toBe('fr-FR');
});
