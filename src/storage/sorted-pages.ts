import type { FolderEntry } from './object-store.ts';

const PAGE_SIZE = 1_000;
/** How many entries are held: about 10 MB. A folder with more of them is read repeatedly. */
const MAX_HELD = 50_000;

/**
 * Sorts the entries of a folder that can be read only as a whole and in no order, for `ObjectStore.list`. Memory is bounded: if there are more
 * entries than can be held, each pass over the folder finds the next ones.
 *
 * @param read reads the whole folder
 */
export async function* sortedPages(
  read: () => AsyncIterable<FolderEntry>,
  after?: string,
  maxHeld = MAX_HELD,
): AsyncGenerator<readonly FolderEntry[]> {
  for (let from = after; ; ) {
    let held: { key: string; entry: FolderEntry }[] = [];
    /** The last key that this pass can still include. */
    let last: string | undefined;
    const keepFirst = () => {
      held.sort((a, b) => compareKeys(a.key, b.key));
      if (held.length <= maxHeld) return;
      held = held.slice(0, maxHeld);
      last = held[maxHeld - 1]!.key;
    };
    for await (const entry of read()) {
      const key = keyOf(entry);
      if (from !== undefined && compareKeys(key, from) <= 0) continue;
      if (last !== undefined && compareKeys(key, last) > 0) continue;
      held.push({ key, entry });
      if (held.length === 2 * maxHeld) keepFirst();
    }
    keepFirst();
    for (let start = 0; start < held.length; start += PAGE_SIZE) {
      yield held.slice(start, start + PAGE_SIZE).map(({ entry }) => entry);
    }
    if (last === undefined) return;
    from = last;
  }
}

/** The entries of `ObjectStore.list`, one by one. */
export async function* entriesOf(pages: AsyncIterable<readonly FolderEntry[]>): AsyncGenerator<FolderEntry> {
  for await (const page of pages) yield* page;
}

/** The entry's position in its folder: its name, and a slash for a folder. */
export function keyOf({ name, folder }: FolderEntry): string {
  return folder ? `${name}/` : name;
}

/** The order of UTF-8 bytes, in which object stores list. It differs from the order of JavaScript's strings in characters beyond U+FFFF. */
export function compareKeys(a: string, b: string): number {
  if (a === b) return 0;
  let index = 0;
  while (a.charCodeAt(index) === b.charCodeAt(index)) index++;
  if (index >= a.length) return -1;
  if (index >= b.length) return 1;
  return byteOrder(a.charCodeAt(index)) - byteOrder(b.charCodeAt(index));
}

/** Moves surrogates, which stand for the characters beyond U+FFFF, behind U+FFFF. */
function byteOrder(codeUnit: number): number {
  return codeUnit >= 0xd800 && codeUnit <= 0xdfff ? codeUnit + 0x10000 : codeUnit;
}
