import type { FileChange, TableReader } from '../../../src/formats/table-reader.ts';

/** A data file or deletion vector that is live, as a catalog has it. */
export interface LiveFile {
  path: string;
  contentOffset?: number;
  isVector: boolean;
  referencedDataFile?: string;
  recordCount: number;
  fileSizeInBytes: number;
  sequenceNumber: number;
}

const keyOf = (path: string, contentOffset: number | undefined) => `${path}@${contentOffset ?? ''}`;

/**
 * Applies the changes of a version to the live files of its base, with the rules that `table-reader.ts` documents: whatever their order, a file
 * that is both added and removed stays, and a data file is removed only together with the vector that was live.
 */
export function apply(base: ReadonlyMap<string, LiveFile>, changes: readonly FileChange[]): Map<string, LiveFile> {
  const live = new Map(base);
  const vectorOf = new Map<string, LiveFile>();
  for (const file of base.values()) if (file.isVector) vectorOf.set(file.referencedDataFile as string, file);
  for (const change of changes) {
    if (change.kind === 'added') continue;
    const { ifVector } = change;
    if (ifVector !== undefined) {
      const vector = vectorOf.get(change.path);
      const found = vector ? keyOf(vector.path, vector.contentOffset) : 'none';
      if (found !== (ifVector === 'none' ? 'none' : keyOf(ifVector.path, ifVector.contentOffset))) continue;
    }
    live.delete(keyOf(change.path, change.contentOffset));
  }
  for (const change of changes) {
    if (change.kind !== 'added') continue;
    const { path, contentOffset, content, referencedDataFile, recordCount, fileSizeInBytes } = change.file;
    live.set(keyOf(path, contentOffset), {
      path,
      contentOffset,
      isVector: content !== 'DATA',
      referencedDataFile,
      recordCount,
      fileSizeInBytes,
      sequenceNumber: change.sequenceNumber,
    });
  }
  return live;
}

/** All changes of a version. */
export async function changesOf(reader: TableReader, version: bigint, base?: bigint): Promise<FileChange[]> {
  const all: FileChange[] = [];
  for await (const { changes } of reader.fileChanges(version, { base })) all.push(...changes);
  return all;
}

export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}
