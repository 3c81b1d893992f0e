/**
 * A path key stores a namespace path as one text. Each segment ends with U+001F, so a path is a prefix of all paths below it,
 * and parents sort before their children. Names cannot contain control characters, so no segment contains the separator.
 */
const END = '\u001f';
/** The character after END. */
const AFTER = ' ';

export function pathKey(path: readonly string[]): string {
  return path.map((segment) => segment + END).join('');
}

export function pathOfKey(key: string): string[] {
  return key === '' ? [] : key.slice(0, -1).split(END);
}

/** The keys of the path itself and of all paths below it are `>= from` and `< to`. The path must not be empty. */
export function subtree(path: readonly string[]): { from: string; to: string } {
  const from = pathKey(path);
  return { from, to: from.slice(0, -1) + AFTER };
}
