import type { ChangeRange, FileChange, FileChangeBatch } from '../../table-reader.ts';
import { added, removed } from './file-change.ts';
import type { FileChangesRequest } from './file-changes-request.ts';
import { BATCH_ENTRIES, type ManifestContext, type ResolvedEntry, readManifest } from './manifest.ts';
import { differenceOf, manifestsNotIn, mayHoldLive } from './manifest-difference.ts';
import { ADDED, DELETED, EXISTING } from './manifest-entry.ts';
import { liveCounts, type ManifestFile } from './manifest-list.ts';

/**
 * Which files came and went, at the cost of the change where the manifest lists tell it:
 *
 * - Without a base: the live entries of all manifests.
 * - With the parent as base: the added and deleted entries of the manifests that this snapshot wrote, if the lists' own
 *   counts say that those are the whole change. pyiceberg leaves out the tombstones of files it removes, and the counts show it.
 * - Where nothing left that held live files: the live entries of the manifests that came.
 * - Else: the difference of the manifests that left and the manifests that came.
 */
export function fileChanges(request: FileChangesRequest, context: ManifestContext): AsyncGenerator<FileChangeBatch> {
  const source = changeSource(request);
  // Only without a base is none the difference to anything.
  if (source === undefined) return differenceOf(request.base!, request, context);
  return manifestByManifest(source, request, context);
}

/** Manifests of which each tells a part of the changes, in the manifest list's order. */
interface ChangeSource {
  manifests: readonly ManifestFile[];
  changeOf: EntryFilter;
  /** Changes in a manifest by the list's counts. */
  count(manifest: ManifestFile): number | undefined;
}

/** Undefined where only the difference of all manifests tells the changes. */
function changeSource({ base, manifests, snapshotId }: FileChangesRequest): ChangeSource | undefined {
  if (base === undefined) return liveFiles(manifests);
  if (base.isParent && ownManifestsAreComplete(base.manifests, manifests, snapshotId)) {
    const ownManifests = manifests.filter(
      ({ addedSnapshotId, added, deleted }) =>
        (addedSnapshotId === undefined || addedSnapshotId === snapshotId) && (added !== 0 || deleted !== 0),
    );
    return {
      manifests: ownManifests,
      changeOf: (entry, manifest) => ownChange(entry, manifest, snapshotId),
      count: ({ added, deleted }) => sum(added, deleted),
    };
  }
  if (manifestsNotIn(base.manifests, manifests).some(mayHoldLive)) return undefined;
  return liveFiles(manifestsNotIn(manifests, base.manifests));
}

function liveFiles(manifests: readonly ManifestFile[]): ChangeSource {
  return {
    manifests: manifests.filter(mayHoldLive),
    changeOf: liveOnly,
    count: ({ added, existing }) => sum(added, existing),
  };
}

const sum = (a: number | undefined, b: number | undefined) => (a === undefined || b === undefined ? undefined : a + b);

/** See `TableReader.changeRanges`. */
export function changeRanges(
  request: FileChangesRequest,
  { size, maxRanges }: { size: number; maxRanges: number },
): ChangeRange[] | undefined {
  const source = changeSource(request);
  const counts = source?.manifests.map(source.count);
  if (counts === undefined || !counts.every((count) => count !== undefined)) return undefined;
  const rangeSize = Math.max(size, counts.reduce((all, count) => all + count, 0) / maxRanges);
  const ranges: ChangeRange[] = [];
  let before = 0;
  for (const [index, changes] of counts.entries()) {
    const last = ranges.at(-1);
    // By where it begins: so there are never more than `maxRanges`.
    if (last === undefined || Math.floor(before / rangeSize) > Math.floor((before - last.changes) / rangeSize)) {
      ranges.push({ from: index, to: index + 1, changes });
    } else {
      last.to = index + 1;
      last.changes += changes;
    }
    before += changes;
  }
  return ranges;
}

/** What a batch makes of an entry; undefined where it changes nothing. */
type EntryFilter = (entry: ResolvedEntry, manifest: ManifestFile) => FileChange | undefined;

const liveOnly: EntryFilter = (entry) => (entry.status === DELETED ? undefined : added(entry));

/**
 * In a manifest that this snapshot wrote, every entry that is added or deleted is its own: the counts that were compared
 * include them all. Not so the entries' own snapshot ids: pyiceberg's tombstones keep the id of the snapshot that added the
 * file. Where the list does not say who wrote a manifest, only those ids can tell.
 */
function ownChange(entry: ResolvedEntry, manifest: ManifestFile, snapshotId: bigint): FileChange | undefined {
  if (entry.status === EXISTING) return undefined;
  if (manifest.addedSnapshotId === undefined && entry.snapshotId !== snapshotId) return undefined;
  return entry.status === ADDED ? added(entry) : removed(entry.file.path, entry.file.contentOffset);
}

/**
 * Whether live files of the parent + added − deleted of the snapshot's own manifests = live files of the snapshot, data and
 * delete files apart. False too where counts are missing, as version 1 allows.
 */
function ownManifestsAreComplete(
  base: readonly ManifestFile[],
  manifests: readonly ManifestFile[],
  snapshotId: bigint,
): boolean {
  const before = liveCounts(base);
  const after = liveCounts(manifests);
  if (before === undefined || after === undefined) return false;
  let { dataFiles, deleteFiles } = before;
  for (const manifest of manifests) {
    if (manifest.addedSnapshotId !== snapshotId) continue;
    if (manifest.added === undefined || manifest.deleted === undefined) return false;
    if (manifest.content === 'DATA') dataFiles += manifest.added - manifest.deleted;
    else deleteFiles += manifest.added - manifest.deleted;
  }
  return dataFiles === after.dataFiles && deleteFiles === after.deleteFiles;
}

/** The last batch of each manifest has the position behind it. */
async function* manifestByManifest(
  { manifests, changeOf }: ChangeSource,
  { snapshotId, from = 0, to = manifests.length, columnIds, signal }: FileChangesRequest,
  context: ManifestContext,
): AsyncGenerator<FileChangeBatch> {
  for (let index = Math.max(0, from); index < Math.min(to, manifests.length); index++) {
    const manifest = manifests[index] as ManifestFile;
    let changes: FileChange[] = [];
    for await (const entries of readManifest(manifest, snapshotId, context, columnIds)) {
      signal?.throwIfAborted();
      if (changes.length + entries.length > BATCH_ENTRIES) {
        yield { changes };
        changes = [];
      }
      for (const entry of entries) {
        const change = changeOf(entry, manifest);
        if (change !== undefined) changes.push(change);
      }
    }
    if (changes.length > 0) yield { changes, position: index + 1 };
  }
}
