import { CodedError } from '../../errors.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import type {
  ChangeRange,
  DataFileBytes,
  FileChange,
  FileChangeBatch,
  FileChangesOptions,
  HistoryEntry,
  KnownTable,
  LiveFileCounts,
  SnapshotDescriptor,
  TableDescriptor,
  TableReader,
} from '../table-reader.ts';
import { CheckpointReader } from './checkpoint/checkpoint-reader.ts';
import { DeltaSchemas } from './columns/delta-schema.ts';
import { changeRanges, commitRanges } from './files/change-ranges.ts';
import { batches, FileChanges } from './files/file-changes.ts';
import { FilePaths } from './files/file-paths.ts';
import { replay } from './files/replay.ts';
import type { SmallActions } from './log/commit.ts';
import { Commits } from './log/commits.ts';
import { DeltaLog } from './log/delta-log.ts';
import { commitIdentity, parseFingerprint } from './log/fingerprint.ts';
import type { CatalogCommits } from './log/log-listing.ts';
import { LogStore } from './log/log-store.ts';
import { readAhead } from './log/read-ahead.ts';
import { CommitTimes } from './state/commit-times.ts';
import { liveCounts } from './state/live-counts.ts';
import type { RememberedState, RememberedStates } from './state/remembered-states.ts';
import { tableProperties } from './state/table-properties.ts';
import { type TableState, TableStates } from './state/table-states.ts';

export interface OpenDeltaTable {
  store: ObjectStore;
  /** The folder that contains `_delta_log`: a path or URI that is not percent-encoded. */
  location: string;
  /** As users name the table; for errors. */
  tableName: string;
  /** Absent if the catalog does not have it. */
  known?: KnownTable;
  /** Present for a catalog-managed table: the commits that its catalog names. */
  commits?: CatalogCommits;
  /** States that this process has read before, and keeps for the next reader. */
  remembered?: RememberedStates;
}

/**
 * Opens a Delta table by its folder, independently of the catalog that located it.
 *
 * @throws CodedError `NOT_FOUND` if the folder has no log, `DATA_LOSS` if the log is incomplete or its newest commit is broken, `UNIMPLEMENTED` if the
 *   newest version needs a reader feature that is not supported
 */
export async function openDeltaTable(options: OpenDeltaTable): Promise<DeltaTableReader> {
  const { known, commits: catalog } = options;
  const location = options.location.replace(/(?<=.)\/+$/, '');
  const store = new LogStore(options.store);
  const log = await DeltaLog.open({ store, location, known: known?.fingerprint, catalog });
  const commits = new Commits(store, log);
  const key = rememberedKey({ ...options, location });
  const before = options.remembered?.get(key);
  const remembered = before && (await log.has(before.version, before.commit)) ? before : undefined;
  const reader = new DeltaTableReader({ ...options, location }, { store, log, commits, remembered });
  try {
    // A broken newest commit is reported by every job, also if its checksum file would do.
    await commits.smallActions(log.last);
    const state = await reader.describe();
    options.remembered?.set(key, state);
    return reader;
  } catch (error) {
    store[Symbol.dispose]();
    throw error;
  }
}

/** A connector names a table by its name and location. The identity of a commit shows whether it is the same log. */
function rememberedKey({ tableName, location }: OpenDeltaTable): string {
  return `${tableName}\n${location}`;
}

/** One state of a Delta table. A version is a snapshot whose id is the version. `TableReader` documents the methods. */
export class DeltaTableReader implements TableReader {
  readonly versions: { first: bigint; last: bigint };
  readonly #store: LogStore;
  readonly #log: DeltaLog;
  readonly #commits: Commits;
  readonly #schemas: DeltaSchemas;
  readonly #states: TableStates;
  readonly #paths: FilePaths;
  readonly #times: CommitTimes;
  readonly #options: OpenDeltaTable;
  readonly #checkpoints = new Map<number, CheckpointReader>();
  #descriptor?: TableDescriptor;

  constructor(
    options: OpenDeltaTable,
    {
      store,
      log,
      commits,
      remembered,
    }: { store: LogStore; log: DeltaLog; commits: Commits; remembered?: RememberedState },
  ) {
    this.#options = options;
    this.#store = store;
    this.#log = log;
    this.#commits = commits;
    this.#paths = new FilePaths(options.location);
    this.versions = { first: BigInt(log.first), last: BigInt(log.last) };
    const { known } = options;
    const continued = log.continuesKnown ? parseFingerprint(known?.fingerprint) : undefined;
    const version = continued?.version;
    const time = known?.committedAtMs;
    this.#times = new CommitTimes(log, version === undefined || time === undefined ? undefined : { version, time });
    this.#schemas = new DeltaSchemas(known && { schemas: known.schemas, specs: known.partitionSpecs });
    this.#states = new TableStates({
      log,
      store,
      commits,
      schemas: this.#schemas,
      table: options.tableName,
      isFromCatalog: options.commits !== undefined,
      checkpoint: (upTo) => this.#checkpoint(upTo),
      known: continued?.origins && { version: continued.version, origins: continued.origins },
      remembered,
    });
  }

  /** Reads what the table is at its newest version, and returns it. */
  async describe(): Promise<RememberedState> {
    const { location, known } = this.#options;
    const { first, last } = this.#log;
    // Ids of columns and schemas are given in the order of the history.
    if (!known?.schemas.length && first < last) await this.#states.at(first).then(schemaOf, onlyIfLost);
    const state = await this.#states.at(last);
    const schema = state.schema();
    this.#descriptor = {
      // A replaced table has another id in the same log.
      uuid: (this.#log.continuesKnown && known?.uuid) || state.metadata.id,
      format: 'DELTA',
      formatVersion: state.protocol.minReaderVersion,
      location,
      metadataLocation: this.#log.commitPath(last) ?? this.#log.publishedPath(last),
      fingerprint: await this.#log.fingerprint(state.origins),
      properties: tableProperties(state),
      schemas: [{ id: schema.id, json: schema.json }],
      currentSchemaId: schema.id,
      partitionSpecs: this.#schemas.specs,
      defaultSpecId: schema.spec.specId,
      currentSnapshotId: BigInt(last),
      refs: [{ name: 'main', snapshotId: BigInt(last), type: 'branch' }],
    };
    const { metadata, protocol, domains, origins } = state;
    const commit = commitIdentity(last, await this.#log.stat(last));
    return { version: last, commit, metadata, protocol, domains, origins };
  }

  get descriptor(): TableDescriptor {
    return this.#descriptor as TableDescriptor;
  }

  get mayDiffer(): boolean {
    return this.#log.isRewritten;
  }

  get bytesRead(): number {
    return this.#store.bytesRead;
  }

  *history(): Generator<HistoryEntry> {
    for (let version = this.#log.first; version <= this.#log.last; version++) yield this.#entry(version);
  }

  /** A version whose commit or state cannot be read is described without it: `fileChanges` then fails. */
  async *snapshots(ids?: ReadonlySet<bigint>): AsyncGenerator<SnapshotDescriptor> {
    const read = readAhead(
      this.#versionsOf(ids),
      async (version): Promise<[number, SmallActions | undefined]> => [
        version,
        await unlessLost(this.#commits.smallActions(version)),
      ],
    );
    for await (const [version, actions] of read) {
      const state = actions && (await unlessLost(this.#states.after(version, actions)));
      const committedAtMs = await this.#times.at(version, state, await this.#inCommitTime(version, actions));
      const { operation = '', summary = {} } = actions?.info ?? {};
      const schema = state && schemaOf(state);
      yield {
        ...this.#entry(version),
        committedAtMs,
        operation,
        summary,
        ...(schema && {
          schemaId: schema.id,
          schema: { id: schema.id, json: schema.json, partitionSpec: schema.spec },
        }),
      };
    }
  }

  async *fileChanges(
    snapshotId: bigint,
    { base, from, to, columnIds, signal }: FileChangesOptions = {},
  ): AsyncGenerator<FileChangeBatch> {
    const version = this.#version(snapshotId);
    const state = await this.#states.at(version);
    const files = new FileChanges(this.#paths, state.schema(), columnIds);
    const range = { from, to, signal };
    const checkpoint = base === undefined ? await this.#checkpoint(version) : undefined;
    if (isOwnChange(version, base, checkpoint)) {
      let changes: FileChange[] = [];
      const target = files.target(version, () => changes);
      for await (const end of this.#commits.passFileActions(version, target, range)) {
        yield* batches(changes, end);
        changes = [];
      }
      return;
    }
    const after = base === undefined ? (checkpoint?.version ?? -1) : this.#base(base, version);
    const withRemovals = base !== undefined;
    yield* replay({ version, after, checkpoint, withRemovals, ...range }, this.#commits, files);
  }

  async changeRanges(
    snapshotId: bigint,
    { base, size, maxRanges }: { base?: bigint; size: number; maxRanges: number },
  ): Promise<ChangeRange[] | undefined> {
    const version = this.#version(snapshotId);
    const checkpoint = base === undefined ? await this.#checkpoint(version) : undefined;
    const options = { size, maxRanges };
    if (isOwnChange(version, base, checkpoint)) return commitRanges(version, this.#log, this.#commits, options);
    return checkpoint && changeRanges(version, checkpoint, this.#log, options);
  }

  async liveFileCounts(snapshotId: bigint): Promise<LiveFileCounts | undefined> {
    return liveCounts(this.#version(snapshotId), {
      log: this.#log,
      commits: this.#commits,
      states: this.#states,
      checkpoint: (upTo) => this.#checkpoint(upTo),
    });
  }

  openDataFile(path: string, sizeInBytes: number): DataFileBytes {
    return this.#store.file(path, sizeInBytes);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#checkpoints.clear();
    this.#store[Symbol.dispose]();
  }

  #entry(version: number): HistoryEntry {
    return {
      snapshotId: BigInt(version),
      ...(version > 0 && { parentSnapshotId: BigInt(version - 1) }),
      sequenceNumber: version,
      manifestList: this.#log.publishedPath(version),
    };
  }

  /** If a version's commit was cleaned up, its checksum file may still have its time. */
  async #inCommitTime(version: number, actions: SmallActions | undefined): Promise<number | undefined> {
    if (this.#log.commitPath(version) !== undefined) return actions?.info?.inCommitTimestamp;
    return (await this.#states.checksum(version))?.inCommitTimestamp;
  }

  *#versionsOf(ids: ReadonlySet<bigint> | undefined): Generator<number> {
    for (let version = this.#log.first; version <= this.#log.last; version++) {
      if (ids === undefined || ids.has(BigInt(version))) yield version;
    }
  }

  #version(snapshotId: bigint): number {
    const version = Number(snapshotId);
    this.#log.require(version);
    return version;
  }

  #base(base: bigint, version: number): number {
    if (base >= 0n && base < BigInt(version)) return Number(base);
    throw new CodedError('INVALID_ARGUMENT', `version ${version} cannot be read as a change of version ${base}`);
  }

  /** The newest complete checkpoint of this version or an older one. */
  async #checkpoint(upTo: number): Promise<CheckpointReader | undefined> {
    const found = await this.#log.checkpointUpTo(upTo);
    if (found === undefined) return undefined;
    let reader = this.#checkpoints.get(found.version);
    if (reader === undefined) {
      // Each keeps its footers' counts.
      if (this.#checkpoints.size >= 2) this.#checkpoints.clear();
      reader = new CheckpointReader(this.#store, this.#log, found);
      this.#checkpoints.set(found.version, reader);
    }
    return reader;
  }
}

/** Whether the changes are those of the version's own commit. */
function isOwnChange(version: number, base: bigint | undefined, checkpoint: CheckpointReader | undefined): boolean {
  return base === undefined ? version === 0 && checkpoint === undefined : base === BigInt(version) - 1n;
}

/** Undefined if the version's protocol or columns cannot be read. */
function schemaOf(state: TableState) {
  try {
    return state.schema();
  } catch (error) {
    if (error instanceof CodedError) return undefined;
    throw error;
  }
}

/** Undefined if what is read is missing or broken. */
function unlessLost<T>(reading: Promise<T>): Promise<T | undefined> {
  return reading.catch(onlyIfLost);
}

function onlyIfLost(error: unknown): undefined {
  if (!(error instanceof CodedError && error.code === 'DATA_LOSS')) throw error;
}
