/**
 * A namespace path as one text: each segment ends with U+001F, so that a path is a prefix of everything below it, and parents sort
 * before their children. A segment cannot hold the separator (control characters are refused in names).
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

/** The keys of the path itself and of all paths below it are `>= from` and `< to`. Not for the empty path, which is above all. */
export function subtree(path: readonly string[]): { from: string; to: string } {
  const from = pathKey(path);
  return { from, to: from.slice(0, -1) + AFTER };
}
