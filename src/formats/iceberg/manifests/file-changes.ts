import { joinUnits } from '../../join-units.ts';
import type { ChangeRange, FileChange, FileChangeBatch } from '../../table-reader.ts';
import { added, removed } from './file-change.ts';
import type { FileChangesRequest } from './file-changes-request.ts';
import { BATCH_ENTRIES, type ManifestContext, type ResolvedEntry, readManifest } from './manifest.ts';
import { differenceOf, manifestsNotIn, mayContainLive } from './manifest-difference.ts';
import { ADDED, DELETED, EXISTING } from './manifest-entry.ts';
import { liveCounts, type ManifestFile } from './manifest-list.ts';

/**
 * The files that were added and removed. If the manifest lists allow it, the cost is proportional to the change:
 *
 * - Without a base: the live entries of all manifests.
 * - If the base is the parent: the added and deleted entries of the manifests that this snapshot wrote, if the lists' counts show that these are
 *   the whole change. pyiceberg omits the tombstones of files that it removes, and the counts reveal that. The files that a manifest kept do not
 *   change, unless the list gives it other row ids, or it is of a lossy spec and was rewritten.
 * - If no manifest with live files was removed from the list: the live entries of the new manifests.
 * - Otherwise: the difference between the removed and the new manifests.
 */
export function fileChanges(request: FileChangesRequest, context: ManifestContext): AsyncGenerator<FileChangeBatch> {
  const source = changeSource(request, context);
  // Without a base there always is a source.
  if (source === undefined) return differenceOf(request.base!, request, context);
  return manifestByManifest(source, request, context);
}

/** Manifests that each contain a part of the changes, in the manifest list's order. */
interface ChangeSource {
  manifests: readonly ManifestFile[];
  changeOf: EntryFilter;
  /** Number of changes in a manifest according to the list's counts. */
  count(manifest: ManifestFile): number | undefined;
}

/** Undefined if only the difference of all manifests shows the changes. */
function changeSource(
  { base, manifests, snapshotId }: FileChangesRequest,
  { lossySpecs }: Pick<ManifestContext, 'lossySpecs'>,
): ChangeSource | undefined {
  if (base === undefined) return liveFiles(manifests);
  const keepsFiles = ({ existing, specId = 0, addedSnapshotId }: ManifestFile) =>
    existing === 0 || !lossySpecs.has(specId) || addedSnapshotId !== snapshotId;
  if (
    base.isParent &&
    ownManifestsAreComplete(base.manifests, manifests, snapshotId) &&
    manifests.every(keepsFiles) &&
    !haveOtherRowIds(base.manifests, manifests)
  ) {
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
  if (manifestsNotIn(base.manifests, manifests).some(mayContainLive)) return undefined;
  return liveFiles(manifestsNotIn(manifests, base.manifests));
}

/**
 * Whether files of the base may have other row ids, or get their first ones. Those of a table that was upgraded to version 3 get them at the next
 * commit, in the manifests of before or in rewritten ones.
 */
function haveOtherRowIds(base: readonly ManifestFile[], manifests: readonly ManifestFile[]): boolean {
  if (manifests.every(({ firstRowId }) => firstRowId === undefined)) return false;
  const before = new Map(base.map(({ path, firstRowId }) => [path, firstRowId]));
  return (
    base.some(
      (manifest) => manifest.content === 'DATA' && manifest.firstRowId === undefined && mayContainLive(manifest),
    ) || manifests.some(({ path, firstRowId }) => before.has(path) && before.get(path) !== firstRowId)
  );
}

function liveFiles(manifests: readonly ManifestFile[]): ChangeSource {
  return {
    manifests: manifests.filter(mayContainLive),
    changeOf: liveOnly,
    count: ({ added, existing }) => sum(added, existing),
  };
}

const sum = (a: number | undefined, b: number | undefined) => (a === undefined || b === undefined ? undefined : a + b);

/** See `TableReader.changeRanges`. */
export function changeRanges(
  request: FileChangesRequest,
  context: Pick<ManifestContext, 'lossySpecs'>,
  options: { size: number; maxRanges: number },
): ChangeRange[] | undefined {
  const source = changeSource(request, context);
  const counts = source?.manifests.map(source.count);
  if (counts === undefined || !counts.every((count) => count !== undefined)) return undefined;
  return joinUnits(counts, options);
}

/** Converts an entry to a change; undefined if it changes nothing. */
type EntryFilter = (entry: ResolvedEntry, manifest: ManifestFile) => FileChange | undefined;

const liveOnly: EntryFilter = (entry) => (entry.status === DELETED ? undefined : added(entry));

/**
 * In a manifest that this snapshot wrote, every added or deleted entry is part of its change; the counts that were compared include them all.
 * The entries' snapshot ids are not reliable, because pyiceberg's tombstones keep the id of the snapshot that added the file. They are used
 * only if the list does not contain the snapshot that wrote a manifest.
 */
function ownChange(entry: ResolvedEntry, manifest: ManifestFile, snapshotId: bigint): FileChange | undefined {
  if (entry.status === EXISTING) return undefined;
  if (manifest.addedSnapshotId === undefined && entry.snapshotId !== snapshotId) return undefined;
  return entry.status === ADDED ? added(entry) : removed(entry.file.path, entry.file.contentOffset);
}

/**
 * Whether live files of the parent + added − deleted of the snapshot's own manifests = live files of the snapshot, separately for data and
 * delete files. Also false if counts are missing, which version 1 allows.
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

/** Only the last batch of a manifest has a position: that of the next manifest. */
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
