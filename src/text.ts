/** The text, shortened to at most `maxLength` UTF-16 units; `…` replaces the rest. */
export function truncate(text: string, maxLength: number): string {
  return text.length > maxLength ? `${text.slice(0, maxLength - 1)}…` : text;
}

/** `1 table`, `2 tables`; with ` or more` after the number `1 or more tables`. */
export const plural = (n: number, noun: string, more = '') => `${n}${more} ${noun}${n === 1 && !more ? '' : 's'}`;

/** `2 tables and 1 view`; counts that are 0 are left out, and the text is empty if all are. */
export const plurals = (...parts: [number, string][]) =>
  parts.flatMap(([n, noun]) => (n > 0 ? [plural(n, noun)] : [])).join(' and ');
