import type { Page, TableEntry, UpstreamCatalog } from '../../../src/connectors/spi.ts';
import type { NamespacePath, TableRef } from '../../../src/contract/upstream-names.ts';
import { CodedError } from '../../../src/errors.ts';
import { NO_COLUMNS } from '../../../src/formats/columns/packed-columns.ts';
import type {
  FileChange,
  FileChangeBatch,
  FileChangesOptions,
  HistoryEntry,
  SnapshotDescriptor,
  SnapshotRef,
  TableDescriptor,
  TableFormat,
  TableReader,
} from '../../../src/formats/table-reader.ts';

export type Parentage = Pick<HistoryEntry, 'snapshotId' | 'parentSnapshotId'>;

/** An entry of Iceberg's history, which has times. */
export type TimedEntry = HistoryEntry & { committedAtMs: number };

/** The history of snapshots of which only the parents matter. */
export const historyOf = (snapshots: readonly Parentage[]): TimedEntry[] =>
  snapshots.map((parentage) => ({
    ...parentage,
    sequenceNumber: Math.abs(Number(parentage.snapshotId % 10_000n)),
    committedAtMs: Date.UTC(2026, 0, 1) + Number(parentage.snapshotId % 10_000n),
    manifestList: `file:/lake/metadata/snap-${parentage.snapshotId}.avro`,
  }));

/** The message with which a worker creates a snapshot. */
export const messageOf = ({ sequenceNumber, committedAtMs, ...entry }: TimedEntry) => ({
  ...entry,
  sequenceNumber: BigInt(sequenceNumber),
  committedAt: new Date(committedAtMs),
  operation: 'append',
});

/** A table's state upstream: its snapshots, a parent before its children, and what points at them. */
export interface TableState {
  snapshots: Parentage[];
  currentSnapshotId?: bigint;
  refs: SnapshotRef[];
  properties?: Record<string, string>;
}

/** Snapshots `from` to `to`, each the child of the one before. */
export function linear(from: number, to: number): TableState {
  const snapshots = Array.from({ length: to - from + 1 }, (_, i) => ({
    snapshotId: BigInt(from + i),
    ...(from + i > 1 && { parentSnapshotId: BigInt(from + i - 1) }),
  }));
  const head = BigInt(to);
  return { snapshots, currentSnapshotId: head, refs: [{ name: 'main', snapshotId: head, type: 'branch' }] };
}

const SCHEMA = JSON.stringify({
  type: 'struct',
  'schema-id': 0,
  fields: [{ id: 1, name: 'id', required: true, type: 'long' }],
});

/** An upstream with any number of tables that share one state, which a test sets. Every snapshot adds one file, or as many as a test sets. */
export class HistoryUpstream implements UpstreamCatalog {
  readonly usage = { requests: 0, bytes: 0 };
  state: TableState = { snapshots: [], refs: [] };
  format: TableFormat = 'ICEBERG';
  /** Changes with every state. */
  version = 0;
  /** How often the tables were dropped and created again: each time gives them other uuids. */
  recreated = 0;
  /** Ids of the snapshots whose descriptors were read since the last change. */
  readonly described: bigint[] = [];
  /** The parent of every snapshot that there ever was. */
  readonly parents = new Map<bigint, bigint | undefined>();
  /** Ids of the snapshots whose files cannot be read. */
  readonly broken = new Set<bigint>();
  /** Files that each snapshot adds. */
  filesEach = 1;
  /** Characters by which paths are longer: the changes of a snapshot are a message of 1 MiB, or more. */
  padding = 0;
  /** Each change is a batch of its own, after which a reader can continue. */
  inParts = false;
  /** The metadata contains the numbers of live files. */
  hasCounts = true;
  /** Changes that start from another snapshot are wrong: there are none. */
  losesChanges = false;
  /** The snapshots whose file changes were read, and the positions that this began at. */
  readonly reads: { table: string; snapshotId: bigint; from: number }[] = [];
  /** Called before each batch of file changes. */
  onBatch: (snapshotId: bigint, position: number, table: string) => void = () => {};
  /** Called when a snapshot's turn comes: its files may have been read ahead by then. */
  onTurn: (snapshotId: bigint, table: string) => void = () => {};

  set(state: TableState): void {
    this.state = state;
    this.version += 1;
    for (const { snapshotId, parentSnapshotId } of state.snapshots) this.parents.set(snapshotId, parentSnapshotId);
    this.described.length = 0;
  }

  async listNamespaces(): Promise<Page<NamespacePath>> {
    return { items: [] };
  }

  async listTables(): Promise<Page<TableEntry>> {
    return { items: [] };
  }

  async fingerprint(): Promise<string> {
    return `version ${this.version}`;
  }

  async openTable(table: TableRef): Promise<TableReader> {
    return new HistoryReader(this, table);
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

class HistoryReader implements TableReader {
  readonly bytesRead = 0;
  readonly descriptor: TableDescriptor;
  readonly #upstream: HistoryUpstream;
  readonly #state: TableState;
  readonly #location: string;
  readonly #name: string;

  constructor(upstream: HistoryUpstream, { namespace, name }: TableRef) {
    this.#upstream = upstream;
    this.#state = upstream.state;
    this.#name = name;
    this.#location = `file:///history/${namespace.join('/')}/${name}`;
    this.descriptor = {
      uuid: `uuid ${upstream.recreated} of ${name}`,
      format: upstream.format,
      formatVersion: 2,
      location: this.#location,
      metadataLocation: `${this.#location}/metadata/${upstream.version}.metadata.json`,
      fingerprint: `version ${upstream.version}`,
      properties: upstream.state.properties ?? {},
      schemas: [{ id: 0, json: SCHEMA }],
      currentSchemaId: 0,
      partitionSpecs: [{ specId: 0, fields: [] }],
      defaultSpecId: 0,
      currentSnapshotId: upstream.state.currentSnapshotId,
      refs: upstream.state.refs,
    };
  }

  history(): readonly TimedEntry[] {
    return historyOf(this.#state.snapshots);
  }

  async *snapshots(ids?: ReadonlySet<bigint>): AsyncGenerator<SnapshotDescriptor> {
    for (const entry of this.history()) {
      if (ids && !ids.has(entry.snapshotId)) continue;
      this.#upstream.described.push(entry.snapshotId);
      yield { ...entry, operation: 'append', summary: {}, schemaId: 0 };
    }
  }

  async *fileChanges(snapshotId: bigint, options: FileChangesOptions = {}): AsyncGenerator<FileChangeBatch> {
    const { base, from = 0 } = options;
    this.#upstream.reads.push({ table: this.#name, snapshotId, from });
    if (this.#upstream.broken.has(snapshotId)) {
      throw new CodedError('UNAVAILABLE', `the manifests of snapshot ${snapshotId} cannot be read now (made fault)`);
    }
    const files = this.#filesOf(snapshotId);
    const before = base === undefined ? new Set<bigint>() : this.#filesOf(base);
    const changes: FileChange[] = [];
    const { filesEach, inParts, losesChanges } = this.#upstream;
    for (let file = 0; file < filesEach && !(losesChanges && base !== undefined); file++) {
      for (const id of before) if (!files.has(id)) changes.push({ kind: 'removed', path: this.#path(id, file) });
      for (const id of files) if (!before.has(id)) changes.push(this.#added(id, file));
    }
    if (!inParts) {
      this.#upstream.onBatch(snapshotId, 0, this.#name);
      yield { changes };
      return;
    }
    for (const [i, change] of changes.entries()) {
      if (i < from) continue;
      this.#upstream.onBatch(snapshotId, i, this.#name);
      yield { changes: [change], position: i + 1 };
    }
  }

  async liveFileCounts(snapshotId: bigint) {
    const { filesEach, hasCounts } = this.#upstream;
    this.#upstream.onTurn(snapshotId, this.#name);
    return hasCounts ? { dataFiles: this.#filesOf(snapshotId).size * filesEach, deleteFiles: 0 } : undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  /** Files are named after the snapshots that added them. A snapshot has its own and those of its nearest four ancestors. */
  #filesOf(snapshotId: bigint): Set<bigint> {
    const { parents } = this.#upstream;
    const files = new Set<bigint>();
    for (let id: bigint | undefined = snapshotId; id !== undefined && files.size < 5; id = parents.get(id)) {
      files.add(id);
    }
    return files;
  }

  #path(snapshotId: bigint, file: number): string {
    return `${this.#location}/data/${'x'.repeat(this.#upstream.padding)}${snapshotId}-${file}.parquet`;
  }

  #added(snapshotId: bigint, file: number): FileChange {
    return {
      kind: 'added',
      file: {
        path: this.#path(snapshotId, file),
        content: 'DATA',
        format: 'PARQUET',
        recordCount: 10,
        fileSizeInBytes: 1000,
        specId: 0,
        partition: [],
        columns: NO_COLUMNS,
      },
      sequenceNumber: Number(snapshotId),
      fileSequenceNumber: Number(snapshotId),
      addedSnapshotId: snapshotId,
    };
  }
}
