import { encodeCommitRequest } from '../../src/catalog-client/raw-commit-snapshot.ts';
import { CommitSnapshotRequest } from '../../src/generated/reconciler/internal/v1/ingestion.ts';
import {
  type DataFile,
  FileChangeKind,
  FileContent,
  FileFormat,
} from '../../src/generated/reconciler/v1/statistics.ts';
import {
  type DeepPartial,
  TableFormat,
  type TableUpstream,
  type UpdateTableRequest,
} from '../../src/generated/reconciler/v1/tables.ts';
import type { TestCatalog } from './harness.ts';

export const SCHEMA = {
  schemaId: 0,
  json: JSON.stringify({
    type: 'struct',
    'schema-id': 0,
    fields: [
      { id: 1, name: 'id', required: true, type: 'long' },
      { id: 2, name: 'name', required: false, type: 'string' },
      { id: 3, name: 'price', required: false, type: 'double' },
      {
        id: 4,
        name: 'where',
        required: false,
        type: { type: 'struct', fields: [{ id: 5, name: 'city', required: false, type: 'string' }] },
      },
    ],
  }),
};

/** Single-value serialization of a long. */
export function long(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(BigInt(value));
  return bytes;
}

type Change = NonNullable<Parameters<typeof CommitSnapshotRequest.fromPartial>[0]['request']>;
type Partial<T> = { [K in keyof T]?: T[K] };

export interface AddedFile extends Omit<Partial<DataFile>, 'columns'> {
  filePath: string;
  columns?: Partial<DataFile['columns'][number]>[];
  seq?: number;
  addedBy?: bigint;
  entry?: number;
  replacesLive?: boolean;
  isUpperBound?: boolean;
}

export function added({ seq = 1, addedBy, entry = 0, replacesLive, isUpperBound, ...file }: AddedFile) {
  return {
    kind: FileChangeKind.FILE_CHANGE_KIND_ADDED,
    sequenceNumber: BigInt(seq),
    fileSequenceNumber: BigInt(seq),
    addedSnapshotId: addedBy ?? 0n,
    entryNumber: BigInt(entry),
    replacesLive,
    isUpperBound,
    file: {
      fileContent: FileContent.FILE_CONTENT_DATA,
      fileFormat: FileFormat.FILE_FORMAT_PARQUET,
      recordCount: 10n,
      fileSizeInBytes: 1000n,
      ...file,
    },
  };
}

export function removed(filePath: string, contentOffset?: bigint, addition: { seq?: number; addedBy?: bigint } = {}) {
  const { seq = 0, addedBy = 0n } = addition;
  const numbers = { sequenceNumber: BigInt(seq), fileSequenceNumber: BigInt(seq), addedSnapshotId: addedBy };
  return { kind: FileChangeKind.FILE_CHANGE_KIND_REMOVED, file: { filePath, contentOffset }, ...numbers };
}

/** The removal of a Delta file that has this deletion vector, or none; both are removed. */
export function removedWith(filePath: string, vector?: { filePath: string; contentOffset: bigint }) {
  const file = { ...removed(filePath), ifVector: vector ?? {} };
  return vector ? [file, removed(vector.filePath, vector.contentOffset)] : [file];
}

export interface Put {
  snapshotId: number | bigint;
  /** The base's id; `null` or absent for none. */
  base?: number | bigint | null;
  changes?: (ReturnType<typeof added> | ReturnType<typeof removed>)[];
  key?: string;
  replace?: boolean;
  whole?: boolean;
  expected?: { data?: number; deletes?: number };
  /** Changes per message. */
  chunk?: number;
  /** False ends the stream before its finish. */
  finish?: boolean;
  /** Finishes the stream as this group. */
  group?: string;
  /** Groups that the finish requires. */
  groups?: string[];
  snapshot?: Record<string, unknown>;
  /** Whether the header carries the snapshot. */
  inHeader?: boolean;
  /** An update of the table that the finish carries. */
  updateTable?: DeepPartial<UpdateTableRequest>;
}

/** A table to which tests send snapshots and file changes. */
export class TestTable {
  readonly catalog: TestCatalog;
  readonly tableId: string;
  readonly namespaceId: string;

  constructor(catalog: TestCatalog, ids: { tableId: string; namespaceId: string }) {
    this.catalog = catalog;
    this.tableId = ids.tableId;
    this.namespaceId = ids.namespaceId;
  }

  static async create(
    catalog: TestCatalog,
    { upstream, ...table }: { upstream?: DeepPartial<TableUpstream>; [field: string]: unknown } = {},
  ): Promise<TestTable> {
    const { ingestion, tables } = catalog.clients;
    const { namespaceId } = await catalog.namespace();
    const { tableId } = await tables.createTable({
      table: { namespaceId, name: 't', format: TableFormat.TABLE_FORMAT_ICEBERG, schema: SCHEMA, ...table },
    });
    if (upstream) await ingestion.updateTable({ table: { tableId, upstream }, updateMask: ['upstream'] });
    return new TestTable(catalog, { tableId, namespaceId });
  }

  async createSnapshot(put: Put) {
    return this.catalog.clients.snapshots.createSnapshot({ snapshot: this.#snapshot(put) });
  }

  #snapshot({ snapshotId, base, snapshot }: Put) {
    const baseSnapshotId = base === null || base === undefined ? undefined : BigInt(base);
    return {
      tableId: this.tableId,
      snapshotId: BigInt(snapshotId),
      parentSnapshotId: baseSnapshotId,
      baseSnapshotId,
      operation: 'append',
      schemaId: 0,
      ...snapshot,
    };
  }

  /** Creates the snapshot and sends its changes. */
  async put(put: Put) {
    await this.createSnapshot(put);
    return this.send(put);
  }

  send(put: Put) {
    return this.catalog.clients.fileChanges.commitSnapshot(this.requests(put));
  }

  async *requests(put: Put): AsyncIterable<Uint8Array> {
    yield encode({
      $case: 'header',
      value: {
        tableId: this.tableId,
        snapshotId: BigInt(put.snapshotId),
        idempotencyKey: put.key ?? `key-${put.snapshotId}`,
        replace: put.replace ?? false,
        whole: put.whole ?? false,
        snapshot: put.inHeader ? this.#snapshot(put) : undefined,
      },
    });
    const changes = put.changes ?? [];
    const step = put.chunk ?? 1000;
    for (let from = 0; from < changes.length; from += step) {
      yield encode({ $case: 'changes', value: { changes: changes.slice(from, from + step) } });
    }
    if (put.group !== undefined) yield encode({ $case: 'groupFinish', value: { group: put.group } });
    if (put.finish === false) return;
    const { data, deletes } = put.expected ?? {};
    yield encode({
      $case: 'finish',
      value: {
        expectedDataFileCount: data === undefined ? undefined : BigInt(data),
        expectedDeleteFileCount: deletes === undefined ? undefined : BigInt(deletes),
        updateTable: put.updateTable,
        groups: put.groups,
      },
    });
  }

  /** Sorted paths of the live files. A file that is live twice is listed twice. */
  async paths(snapshotId?: number | bigint, pageSize = 1000): Promise<string[]> {
    return (await this.files(snapshotId, pageSize)).map((file) => file.filePath).sort();
  }

  async files(snapshotId?: number | bigint, pageSize = 1000, columns: string[] = []): Promise<DataFile[]> {
    const files: DataFile[] = [];
    let pageToken = '';
    do {
      const page = await this.catalog.clients.statistics.listFileColumnStats({
        tableId: this.tableId,
        snapshotId: snapshotId === undefined ? undefined : BigInt(snapshotId),
        pageSize,
        pageToken,
        columns,
      });
      files.push(...page.files);
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    return files;
  }

  stats(snapshotId: number | bigint) {
    return this.catalog.clients.statistics.getTableStats({ tableId: this.tableId, snapshotId: BigInt(snapshotId) });
  }

  async columns(snapshotId: number | bigint, columns: string[] = []) {
    const request = { tableId: this.tableId, snapshotId: BigInt(snapshotId), columns };
    return (await this.catalog.clients.statistics.listColumnStats(request)).columns;
  }
}

export function encode(request: Change): Uint8Array {
  const message = CommitSnapshotRequest.fromPartial({ request });
  return encodeCommitRequest(message.request as NonNullable<typeof message.request>);
}
