import { CodedError } from '../../../errors.ts';
import { type AvroBlock, AvroContainer } from '../../avro/container.ts';
import { fileError, MalformedError, RESTORE } from '../../malformed.ts';
import { Turns } from '../../paced.ts';
import type { PartitionSpec } from '../../table-reader.ts';
import type { MetadataFiles } from '../metadata-files.ts';
import { ADDED, DELETED, type ManifestEntry, manifestEntryReader, type ReadEntry } from './manifest-entry.ts';
import type { ManifestFile } from './manifest-list.ts';

/**
 * Entries per batch. With 20 columns, 250 entries take 2 MB of objects, which are collected young. Batches of 1,000 outlive the collector's
 * nursery, and reading takes 50 % longer (docs/decisions/avro.md).
 */
export const BATCH_ENTRIES = 250;

/** A manifest entry after inheritance. */
export interface ResolvedEntry extends ManifestEntry {
  snapshotId: bigint;
  /** Neither the entry nor its manifest has a snapshot's id: it is that of the snapshot being read. */
  isOfUnknownSnapshot: boolean;
  /** 0 in format version 1, and for deleted entries without a sequence number. */
  sequenceNumber: number;
  fileSequenceNumber: number;
  /** Which entry of the snapshot's manifests it is: see ENTRIES. */
  number: number;
}

/** Entries are numbered from the manifest's index times this, so that no two entries of a snapshot have the same number. */
const ENTRIES = 2 ** 32;

/** The parts of a table that are needed to read its manifests. */
export interface ManifestContext {
  files: MetadataFiles;
  specs: readonly PartitionSpec[];
  /** Iceberg types by column id. */
  columnTypes: ReadonlyMap<number, string>;
  /** Ids of the specs that have a field of a dropped column. Iceberg Java loses its values when it rewrites a manifest. */
  lossySpecs: ReadonlySet<number>;
}

/**
 * Reads the entries of a manifest in batches.
 *
 * @param snapshotId the entries' snapshot if neither the manifest nor the entry contains one
 * @throws CodedError `DATA_LOSS` that names the manifest
 */
export async function* readManifest(
  manifest: ManifestFile,
  snapshotId: bigint,
  { files, specs, columnTypes }: ManifestContext,
  columnIds?: ReadonlySet<number>,
): AsyncGenerator<ResolvedEntry[]> {
  let opened: AvroContainer;
  try {
    opened = await AvroContainer.open(files.ranges(manifest.path));
  } catch (error) {
    throw fileError('manifest', manifest.path, error);
  }
  using container = opened;
  let next: () => ResolvedEntry[];
  try {
    const spec = specOf(manifest, container, specs);
    const reader = (fixedHasLength: boolean) =>
      manifestEntryReader(container.schema, spec, columnTypes, columnIds, fixedHasLength);
    // A value that is preceded by its length, and ends with a byte of 0x80 or more, can be read without its length, too: that byte then
    // belongs to the next number. The other way round, the value would have to begin with its length.
    const readers = hasFixedPartition(spec, columnTypes) ? [reader(true), reader(false)] : [reader(false)];
    next = batches(container, readers, inheritance(manifest, snapshotId));
  } catch (error) {
    throw fileError('manifest', manifest.path, error);
  }
  let entries = 0;
  const turns = new Turns();
  for (;;) {
    let batch: ResolvedEntry[];
    try {
      batch = next();
      entries += batch.length;
      if (batch.length === 0) {
        if (await container.fill()) continue;
        requireWhole(manifest, container.bytesRead, entries);
        return;
      }
    } catch (error) {
      throw fileError('manifest', manifest.path, error);
    }
    yield batch;
    // Most of a large manifest may be in memory, so that nothing else waits.
    if (turns.isOver) await turns.next();
  }
}

/** Returns a function that returns the next entries in memory, or none if more must be read. */
function batches(
  container: AvroContainer,
  readers: ReadEntry[],
  inherit: (entry: ManifestEntry) => ResolvedEntry,
): () => ResolvedEntry[] {
  let block: AvroBlock | undefined;
  let candidates = readers;
  let readEntry = readers[0] as ReadEntry;
  return () => {
    const batch: ResolvedEntry[] = [];
    while (batch.length < BATCH_ENTRIES) {
      if (block === undefined || block.count === 0) {
        block = container.next();
        if (block === undefined) break;
        if (candidates.length === 1) continue;
        const fitting = fittingReaders(block, candidates);
        // If none fits, the last one's error explains the problem: it follows the manifest's schema.
        readEntry = (fitting[0] ?? candidates.at(-1)) as ReadEntry;
        if (fitting.length === 1) candidates = fitting;
        continue;
      }
      block.count--;
      batch.push(inherit(readEntry(block.cursor)));
    }
    return batch;
  };
}

/** The readers that read the block exactly to its end. */
function fittingReaders({ count, cursor }: AvroBlock, readers: ReadEntry[]): ReadEntry[] {
  const start = cursor.position;
  return readers.filter((readEntry) => {
    try {
      for (let i = 0; i < count; i++) readEntry(cursor);
      return cursor.remaining === 0;
    } catch {
      return false;
    } finally {
      cursor.position = start;
    }
  });
}

/** Whether a partition value can be of type `fixed`, which Iceberg Java writes differently from the manifest's schema. */
function hasFixedPartition({ fields }: PartitionSpec, types: ReadonlyMap<number, string>): boolean {
  return fields.some(({ sourceIds }) => types.get(sourceIds[0] ?? -1)?.startsWith('fixed'));
}

/** Applies inheritance (Iceberg spec, "Manifest Entry Fields", "Sequence Number Inheritance" and "First Row ID Inheritance"). */
function inheritance(manifest: ManifestFile, snapshotId: bigint): (entry: ManifestEntry) => ResolvedEntry {
  let firstRowId = manifest.firstRowId;
  let number = manifest.index * ENTRIES;
  return (entry) => {
    const { file, status } = entry;
    const inherits = status === ADDED || manifest.sequenceNumber === 0;
    const sequenceNumber = entry.sequenceNumber ?? (inherits ? manifest.sequenceNumber : undefined);
    if (sequenceNumber === undefined && status !== DELETED) {
      throw new MalformedError(`the entry of ${file.path} is from an earlier snapshot but has no sequence number`);
    }
    if (file.content === 'DATA' && status !== DELETED) {
      if (manifest.firstRowId === undefined) {
        // Row ids are valid only in a manifest that has a first row id; manifests from before the upgrade to version 3 have none.
        file.firstRowId = undefined;
      } else if (file.firstRowId === undefined && firstRowId !== undefined) {
        file.firstRowId = firstRowId;
        firstRowId += Math.max(0, file.recordCount);
      }
    }
    return {
      status,
      snapshotId: entry.snapshotId ?? manifest.addedSnapshotId ?? snapshotId,
      isOfUnknownSnapshot: entry.snapshotId === undefined && manifest.addedSnapshotId === undefined,
      sequenceNumber: sequenceNumber ?? 0,
      // Early version 2 writers did not have the field.
      fileSequenceNumber: entry.fileSequenceNumber ?? (inherits ? manifest.sequenceNumber : (sequenceNumber ?? 0)),
      file,
      number: ++number,
    };
  };
}

/** The partition spec with the manifest list's id. Without a list (version 1), the id is in the manifest's header. */
function specOf(manifest: ManifestFile, container: AvroContainer, specs: readonly PartitionSpec[]): PartitionSpec {
  const inHeader = container.metadata.get('partition-spec-id')?.toString('latin1');
  const specId = manifest.specId ?? Number(inHeader ?? '0');
  const spec = specs.find((candidate) => candidate.specId === specId);
  if (spec !== undefined) return spec;
  throw new MalformedError(
    `it has the partition spec ${specId}, but the table has only ${specs.map((known) => known.specId)}`,
  );
}

/**
 * Checks the file's length, because a file that is truncated between two blocks looks complete. Writers state wrong lengths, too: a file that
 * has as many entries as the list states is complete, however long it should be.
 */
function requireWhole({ path, length, added, existing, deleted }: ManifestFile, bytes: number, entries: number): void {
  if (length === undefined || bytes >= length) return;
  if (added !== undefined && existing !== undefined && deleted !== undefined && entries >= added + existing + deleted)
    return;
  throw new CodedError(
    'DATA_LOSS',
    `manifest ${path} is truncated: it has ${bytes} bytes, but the manifest list gives its length as ${length}.${RESTORE}`,
  );
}
