/** The text, shortened to at most `maxLength` UTF-16 units; `…` replaces the rest. No character is cut in two. */
export function truncate(text: string, maxLength: number): string {
  return text.length > maxLength ? `${text.slice(0, maxLength - 1).replace(/[\uD800-\uDBFF]$/, '')}…` : text;
}

/** Text that Markdown renders as it is. Names and messages come from upstreams. */
export function escapeMarkdown(text: string): string {
  return text.replace(/[\\`*_[\]<>|#\n\r]/g, (c) => (c === '\n' || c === '\r' ? ' ' : `\\${c}`));
}

/** `1 table`, `2 tables`; with ` or more` after the number `1 or more tables`. */
export const plural = (n: number, noun: string, more = '') => `${n}${more} ${noun}${n === 1 && !more ? '' : 's'}`;

/** `2 tables and 1 view`; counts that are 0 are left out, and the text is empty if all are. */
export const plurals = (...parts: [number, string][]) =>
  parts.flatMap(([n, noun]) => (n > 0 ? [plural(n, noun)] : [])).join(' and ');

/** `7.0 MiB` */
export const mebibytes = (bytes: number) => `${(bytes / 1024 / 1024).toFixed(1)} MiB`;

/** The text quoted as one word of a shell command, for commands that people copy. */
export const shellWord = (text: string) => (/^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
