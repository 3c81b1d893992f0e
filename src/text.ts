/** The text, shortened to at most `maxLength` UTF-16 units; `…` replaces the rest. */
export function truncate(text: string, maxLength: number): string {
  return text.length > maxLength ? `${text.slice(0, maxLength - 1)}…` : text;
}
