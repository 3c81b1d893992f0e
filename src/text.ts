/** The text, cut after `maxLength` UTF-16 units with `…` in place of the rest. */
export function truncate(text: string, maxLength: number): string {
  return text.length > maxLength ? `${text.slice(0, maxLength)}…` : text;
}
