import type { FolderEntry } from '../../src/storage/object-store.ts';

/** All entries of `ObjectStore.list`. */
export async function listed(pages: AsyncIterable<readonly FolderEntry[]>): Promise<FolderEntry[]> {
  const entries: FolderEntry[] = [];
  for await (const page of pages) entries.push(...page);
  return entries;
}
