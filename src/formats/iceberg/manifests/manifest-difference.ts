import type { FileChange, FileChangeBatch } from '../../table-reader.ts';
import { added, removed } from './file-change.ts';
import type { FileChangesRequest } from './file-changes-request.ts';
import { BATCH_ENTRIES, type ManifestContext, type ResolvedEntry, readManifest } from './manifest.ts';
import { DELETED } from './manifest-entry.ts';
import type { ManifestFile } from './manifest-list.ts';

/**
 * Maximum keys in memory, of about 300 bytes each. More keys are processed in several passes, each for a part of the keys by hash. This
 * reads the manifests several times, but bounds the memory.
 */
export const MAX_KEYS = 200_000;

/** Selects no column metrics, because only the files' keys are needed. */
const NO_COLUMNS: ReadonlySet<number> = new Set();

/**
 * Files of the snapshot = files of the base − live entries of the removed manifests + live entries of the new manifests. An entry in both was
 * only written into another manifest, and did not change. A file that was removed and added again has another entry.
 */
export async function* differenceOf(
  base: { snapshotId: bigint; manifests: readonly ManifestFile[] },
  { snapshotId, manifests, columnIds, signal }: FileChangesRequest,
  context: ManifestContext,
  maxKeys = MAX_KEYS,
): AsyncGenerator<FileChangeBatch> {
  const newManifests = manifestsNotIn(manifests, base.manifests);
  const goneManifests = manifestsNotIn(base.manifests, manifests);
  const passes = Math.max(1, Math.ceil((await countLive(goneManifests, base.snapshotId, context)) / maxKeys));
  for (let pass = 0; pass < passes; pass++) {
    /** Entries of the removed manifests, and how many of each the snapshot no longer has. */
    const gone = new Map<string, number>();
    for await (const entry of liveEntries(goneManifests, base.snapshotId, context, NO_COLUMNS)) {
      const key = keyOf(entry);
      if (passes === 1 || hash(key) % passes === pass) gone.set(key, (gone.get(key) ?? 0) + 1);
    }
    signal?.throwIfAborted();
    let changes: FileChange[] = [];
    for await (const entry of liveEntries(newManifests, snapshotId, context, columnIds)) {
      const key = keyOf(entry);
      if (passes > 1 && hash(key) % passes !== pass) continue;
      const before = gone.get(key) ?? 0;
      if (before > 0) {
        gone.set(key, before - 1);
        continue;
      }
      changes.push(added(entry));
      if (changes.length >= BATCH_ENTRIES) {
        signal?.throwIfAborted();
        yield { changes };
        changes = [];
      }
    }
    for (const [key, count] of gone) {
      if (count === 0) continue;
      changes.push(removedByKey(key));
      if (changes.length >= BATCH_ENTRIES) {
        yield { changes };
        changes = [];
      }
    }
    if (changes.length > 0) yield { changes };
  }
}

/** The manifests that are not among the others. One that has other row ids there is another one. */
export function manifestsNotIn(manifests: readonly ManifestFile[], others: readonly ManifestFile[]): ManifestFile[] {
  const rowIds = new Map(others.map(({ path, firstRowId }) => [path, firstRowId]));
  return manifests.filter(({ path, firstRowId }) => !rowIds.has(path) || rowIds.get(path) !== firstRowId);
}

/** Whether the manifest can contain live entries, according to the manifest list's counts. */
export function mayContainLive({ added, existing }: ManifestFile): boolean {
  return added !== 0 || existing !== 0;
}

/** Counts live entries from the manifest list's counts, or by reading the manifest if there are none. */
async function countLive(
  manifests: readonly ManifestFile[],
  snapshotId: bigint,
  context: ManifestContext,
): Promise<number> {
  let count = 0;
  for (const manifest of manifests) {
    if (manifest.added !== undefined && manifest.existing !== undefined) {
      count += manifest.added + manifest.existing;
      continue;
    }
    for await (const _ of liveEntries([manifest], snapshotId, context, NO_COLUMNS)) count++;
  }
  return count;
}

async function* liveEntries(
  manifests: readonly ManifestFile[],
  snapshotId: bigint,
  context: ManifestContext,
  columnIds: ReadonlySet<number> | undefined,
): AsyncGenerator<ResolvedEntry> {
  for (const manifest of manifests) {
    if (!mayContainLive(manifest)) continue;
    for await (const entries of readManifest(manifest, snapshotId, context, columnIds)) {
      for (const entry of entries) if (entry.status !== DELETED) yield entry;
    }
  }
}

/**
 * An entry's key: what identifies the file, when it was added, and what else can be compared at little cost, separated by NUL, which no path
 * contains. Metrics of columns are left out: they are most of an entry, and differ only if the rest does.
 */
function keyOf({ file, sequenceNumber, fileSequenceNumber, snapshotId, isOfUnknownSnapshot }: ResolvedEntry): string {
  const { path, contentOffset = '', recordCount, fileSizeInBytes, specId, partition, firstRowId = '' } = file;
  const values = partition.map(({ value }) => (value === undefined ? '' : `:${Buffer.from(value).toString('base64')}`));
  return [
    path,
    contentOffset,
    sequenceNumber,
    fileSequenceNumber,
    isOfUnknownSnapshot ? '' : snapshotId,
    recordCount,
    fileSizeInBytes,
    specId,
    firstRowId,
    values,
  ].join('\0');
}

function removedByKey(key: string): FileChange {
  const [path = '', offset = '', sequenceNumber, fileSequenceNumber, snapshotId = ''] = key.split('\0');
  const addition = {
    sequenceNumber: Number(sequenceNumber),
    fileSequenceNumber: Number(fileSequenceNumber),
    addedSnapshotId: BigInt(snapshotId),
  };
  return removed(path, offset === '' ? undefined : Number(offset), snapshotId === '' ? undefined : addition);
}

/** FNV-1a over UTF-16 code units. */
function hash(key: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) value = Math.imul(value ^ key.charCodeAt(i), 0x01000193);
  return value >>> 0;
}
