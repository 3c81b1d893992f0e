/** The text, shortened to at most `maxLength` UTF-16 units; `…` replaces the rest. No character is cut in two. */
export function truncate(text: string, maxLength: number): string {
  return text.length > maxLength ? `${text.slice(0, maxLength - 1).replace(/[\uD800-\uDBFF]$/, '')}…` : text;
}

/**
 * Control characters, and those that are not seen but change what is: C1 control characters, which some terminals obey, line and paragraph
 * separators, and the characters that change the direction of text (UTS #55, 'Source code handling'). Without tabs and line feeds.
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it matches
const DECEPTIVE = /[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** Whether a text has characters that make it look like another text. */
export const isDeceptive = (text: string) => text.search(DECEPTIVE) >= 0;

/** Shows control characters and those that change the direction of text: `\x1b`, `\u202e`. Keeps tabs and line feeds. */
export function escapeControls(text: string): string {
  return text.replace(DECEPTIVE, (c) => {
    const code = c.charCodeAt(0).toString(16);
    return code.length > 2 ? `\\u${code.padStart(4, '0')}` : `\\x${code.padStart(2, '0')}`;
  });
}

/** The same JSON without such characters, for logs that people read. */
export const escapeInJson = (json: string) =>
  json.replace(DECEPTIVE, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** Text that Markdown renders as it is. Names and messages come from upstreams. */
export function escapeMarkdown(text: string): string {
  return escapeControls(text.replace(/[\\`*_[\]<>|#\n\r]/g, (c) => (c === '\n' || c === '\r' ? ' ' : `\\${c}`)));
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
