import { CodedError } from '../../errors.ts';
import type { ReservedMemory } from '../../storage/memory-budget.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import { fileError } from '../malformed.ts';
import { paced } from '../paced.ts';
import type {
  ChangeRange,
  ColumnSketch,
  DataFileBytes,
  FileChangeBatch,
  FileChangesOptions,
  HistoryEntry,
  LiveFileCounts,
  SketchFile,
  SnapshotDescriptor,
  TableDescriptor,
  TableReader,
} from '../table-reader.ts';
import { changeRanges, fileChanges } from './manifests/file-changes.ts';
import type { FileChangesRequest } from './manifests/file-changes-request.ts';
import type { ManifestContext } from './manifests/manifest.ts';
import { liveCounts, type ManifestFile, readManifestList, unknownManifest } from './manifests/manifest-list.ts';
import { columnTypes, lossySpecs } from './manifests/partition-values.ts';
import { type ReadMetadata, readMetadataFile } from './metadata-file.ts';
import { MetadataFiles } from './metadata-files.ts';
import { readPuffinSketches } from './puffin/puffin.ts';
import { parentsFirst, withoutCycles } from './snapshot-order.ts';
import { type SnapshotMetadata, tableMetadataFromJson } from './table-metadata.ts';

/** Manifest lists kept: those of the snapshot and its base. So a walk along the history reads each list once. */
const MAX_CACHED_LISTS = 2;

export interface OpenIcebergTable {
  store: ObjectStore;
  metadataLocation: string;
  fingerprint: string;
  /** The table's current folder, if the catalog knows it. Paths below the location in the metadata are looked up there. */
  folder?: string;
  /**
   * Metadata from the catalog's response (a result of `parseLosslessJson` or `openJson`), its size, and the memory that was reserved for it. If
   * present, the metadata file is not read.
   */
  metadata?: { json: unknown; bytes: number; memory?: ReservedMemory };
}

/**
 * Opens a table by its metadata file, independently of the catalog that located the file (a directory, a REST catalog, Glue).
 *
 * @throws CodedError `DATA_LOSS` if the metadata file is corrupt or missing, `FAILED_PRECONDITION` if it is too large; see `parseTableMetadata`
 */
export async function openIcebergTable(options: OpenIcebergTable): Promise<IcebergTableReader> {
  const read = await readMetadata(options);
  try {
    return new IcebergTableReader(options, read);
  } catch (error) {
    read.memory?.[Symbol.dispose]();
    throw error;
  }
}

/** The caller disposes `memory` of `options.metadata` if this fails. */
async function readMetadata({ store, metadataLocation, metadata }: OpenIcebergTable): Promise<ReadMetadata> {
  if (metadata === undefined) return readMetadataFile(store, metadataLocation, 'open');
  const { json, bytes, memory } = metadata;
  const converted = await paced(tableMetadataFromJson(json, metadataLocation));
  memory?.shrink(bytes);
  return { metadata: converted, bytes, memory };
}

/** One state of an Iceberg table. `TableReader` documents the methods. */
export class IcebergTableReader implements TableReader {
  readonly descriptor: TableDescriptor;
  readonly sketchFiles: readonly SketchFile[];
  readonly #context: ManifestContext;
  readonly #files: MetadataFiles;
  readonly #snapshots: ReadonlyMap<bigint, SnapshotMetadata>;
  readonly #metadataLocation: string;
  readonly #lists = new Map<bigint, Promise<ManifestFile[]>>();
  /** What the metadata takes, if that is much. */
  readonly #memory?: ReservedMemory;
  #history?: readonly SnapshotMetadata[];

  constructor(
    { store, metadataLocation, fingerprint, folder }: OpenIcebergTable,
    { metadata, bytes, memory }: ReadMetadata,
  ) {
    this.#files = new MetadataFiles(store, metadata.location, folder);
    this.#files.bytesRead = bytes;
    this.#memory = memory;
    this.#metadataLocation = metadataLocation;
    this.#snapshots = new Map(withoutCycles(metadata.snapshots).map((snapshot) => [snapshot.snapshotId, snapshot]));
    this.#context = {
      files: this.#files,
      specs: metadata.partitionSpecs,
      columnTypes: columnTypes(metadata),
      lossySpecs: lossySpecs(metadata),
    };
    const { snapshots: _, lastUpdatedMs: __, sketchFiles, ...described } = metadata;
    this.sketchFiles = sketchFiles;
    this.descriptor = { ...described, format: 'ICEBERG', metadataLocation, fingerprint };
  }

  get bytesRead(): number {
    return this.#files.bytesRead;
  }

  history(): readonly HistoryEntry[] {
    return this.#ordered();
  }

  async *snapshots(ids?: ReadonlySet<bigint>): AsyncGenerator<SnapshotDescriptor> {
    for (const { manifests: _, summaryJson, ...snapshot } of this.#ordered()) {
      if (ids !== undefined && !ids.has(snapshot.snapshotId)) continue;
      const { operation: __, ...summary } = JSON.parse(summaryJson) as Record<string, string>;
      yield { ...snapshot, summary };
    }
  }

  async *fileChanges(
    snapshotId: bigint,
    { base, ...options }: FileChangesOptions = {},
  ): AsyncGenerator<FileChangeBatch> {
    yield* fileChanges({ ...(await this.#between(base, snapshotId)), ...options }, this.#context);
  }

  async changeRanges(
    snapshotId: bigint,
    { base, ...options }: { base?: bigint; size: number; maxRanges: number },
  ): Promise<ChangeRange[] | undefined> {
    return changeRanges(await this.#between(base, snapshotId), this.#context, options);
  }

  async liveFileCounts(snapshotId: bigint): Promise<LiveFileCounts | undefined> {
    return liveCounts(await this.#manifests(snapshotId));
  }

  columnSketches(file: SketchFile, columnIds: ReadonlySet<number>): AsyncGenerator<ColumnSketch> {
    return readPuffinSketches(file, this.openDataFile(file.path, file.sizeInBytes), columnIds);
  }

  openDataFile(path: string, sizeInBytes: number): DataFileBytes {
    return { byteLength: sizeInBytes, slice: this.#files.ranges(path) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#lists.clear();
    this.#memory?.[Symbol.dispose]();
  }

  #ordered(): readonly SnapshotMetadata[] {
    this.#history ??= parentsFirst([...this.#snapshots.values()]);
    return this.#history;
  }

  async #between(base: bigint | undefined, snapshotId: bigint): Promise<FileChangesRequest> {
    const { parentSnapshotId } = this.#snapshot(snapshotId);
    // The base's list is read first, so that the snapshot's list stays cached for the next step along the history.
    const before =
      base === undefined
        ? undefined
        : { snapshotId: base, manifests: await this.#manifests(base), isParent: parentSnapshotId === base };
    return { snapshotId, manifests: await this.#manifests(snapshotId), base: before };
  }

  #snapshot(snapshotId: bigint): SnapshotMetadata {
    const snapshot = this.#snapshots.get(snapshotId);
    if (snapshot !== undefined) return snapshot;
    throw new CodedError(
      'NOT_FOUND',
      `${this.#metadataLocation} has no snapshot ${snapshotId}: it has expired or belongs to another table`,
    );
  }

  async #manifests(snapshotId: bigint): Promise<ManifestFile[]> {
    const snapshot = this.#snapshot(snapshotId);
    const kept = this.#lists.get(snapshotId);
    const list = kept ?? this.#readList(snapshot);
    // The least recently used list is first and is dropped first.
    this.#lists.delete(snapshotId);
    this.#lists.set(snapshotId, list);
    for (const oldest of this.#lists.keys()) {
      if (this.#lists.size <= MAX_CACHED_LISTS) break;
      this.#lists.delete(oldest);
    }
    try {
      return await list;
    } catch (error) {
      // The failure may be transient, so a retry reads the list again.
      if (this.#lists.get(snapshotId) === list) this.#lists.delete(snapshotId);
      throw error;
    }
  }

  async #readList({ manifests, manifestList, snapshotId }: SnapshotMetadata): Promise<ManifestFile[]> {
    if (manifests !== undefined) return [...new Set(manifests)].map(unknownManifest);
    try {
      return await readManifestList(this.#files.ranges(manifestList));
    } catch (error) {
      throw fileError(`manifest list of snapshot ${snapshotId} at`, manifestList, error);
    }
  }
}
