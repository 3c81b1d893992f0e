import type { CatalogClients } from '../../src/catalog-client/connect.ts';
import {
  type DataFile,
  type DeepPartial,
  type FileChange,
  FileChangeKind,
  FileContent,
  FileFormat,
  type PutFileColumnStatsRequest,
} from '../../src/generated/reconciler/v1/statistics.ts';
import { SnapshotRefType, TableFormat } from '../../src/generated/reconciler/v1/tables.ts';

const SCHEMA = {
  schemaId: 0,
  json: JSON.stringify({
    type: 'struct',
    'schema-id': 0,
    fields: [
      { id: 1, name: 'id', required: true, type: 'long' },
      { id: 2, name: 'city', required: false, type: 'string' },
    ],
  }),
};

/** Iceberg's single-value serialization of a long. */
function long(value: bigint): Buffer {
  const buffer = Buffer.alloc(8);
  buffer.writeBigInt64LE(value);
  return buffer;
}

function dataFile(n: number): DeepPartial<DataFile> {
  return {
    filePath: `s3://bucket/warehouse/sales/orders/data/00000-${n}-aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee-00001.parquet`,
    fileContent: FileContent.FILE_CONTENT_DATA,
    fileFormat: FileFormat.FILE_FORMAT_PARQUET,
    recordCount: 1_000n,
    fileSizeInBytes: 2_048n,
    columns: [
      {
        columnId: 1,
        valueCount: 1_000n,
        nullCount: 0n,
        lowerBound: long(BigInt(n)),
        upperBound: long(BigInt(n) + 999n),
      },
      {
        columnId: 2,
        valueCount: 1_000n,
        nullCount: 10n,
        lowerBound: Buffer.from('Aachen'),
        upperBound: Buffer.from('Zürich'),
      },
    ],
  };
}

const DELETES: DeepPartial<DataFile> = {
  filePath: 's3://bucket/warehouse/sales/orders/data/deletes.parquet',
  fileContent: FileContent.FILE_CONTENT_POSITION_DELETES,
  fileFormat: FileFormat.FILE_FORMAT_PARQUET,
  recordCount: 5n,
  fileSizeInBytes: 100n,
  referencedDataFile: dataFile(0).filePath,
};

/** Snapshot ids of the sample; the second is beyond what a JavaScript number holds. */
export const FIRST = 42n;
export const SECOND = 8_744_736_658_442_914_487n;

/** `main."my ns".orders`: one snapshot adds two files, the next one deletes five rows of the first. And an empty table. */
export async function putSampleTable(clients: CatalogClients): Promise<void> {
  const { catalogId } = await clients.catalogs.createCatalog({ catalog: { displayName: 'main' } });
  const { namespaceId } = await clients.namespaces.createNamespace({ namespace: { catalogId, path: ['my ns'] } });
  await clients.namespaces.createNamespace({ namespace: { catalogId, path: ['my ns', 'eu'] } });
  await clients.tables.createTable({
    table: { namespaceId, name: 'empty', format: TableFormat.TABLE_FORMAT_ICEBERG, formatVersion: 2 },
  });
  const { tableId } = await clients.tables.createTable({
    table: {
      namespaceId,
      name: 'orders',
      format: TableFormat.TABLE_FORMAT_ICEBERG,
      formatVersion: 2,
      location: 's3://bucket/warehouse/sales/orders',
      schema: SCHEMA,
    },
  });
  const put = async (
    snapshotId: bigint,
    parent: bigint | undefined,
    sequenceNumber: bigint,
    files: DeepPartial<DataFile>[],
  ) => {
    await clients.snapshots.createSnapshot({
      snapshot: {
        tableId,
        snapshotId,
        parentSnapshotId: parent,
        baseSnapshotId: parent,
        sequenceNumber,
        operation: parent ? 'delete' : 'append',
        committedAt: new Date(Date.UTC(2026, 0, Number(sequenceNumber))),
        schemaId: 0,
      },
    });
    await clients.statistics.putFileColumnStats(changes(tableId, snapshotId, sequenceNumber, files));
  };
  await put(FIRST, undefined, 1n, [dataFile(0), dataFile(1_000)]);
  await put(SECOND, FIRST, 2n, [DELETES]);
  await clients.tables.updateTable({
    table: {
      tableId,
      currentSnapshotId: SECOND,
      refs: [
        { name: 'main', snapshotId: SECOND, type: SnapshotRefType.SNAPSHOT_REF_TYPE_BRANCH },
        { name: 'v1', snapshotId: FIRST, type: SnapshotRefType.SNAPSHOT_REF_TYPE_TAG },
      ],
    },
    updateMask: ['current_snapshot_id', 'refs'],
  });
}

async function* changes(
  tableId: string,
  snapshotId: bigint,
  sequenceNumber: bigint,
  files: DeepPartial<DataFile>[],
): AsyncGenerator<DeepPartial<PutFileColumnStatsRequest>> {
  yield { request: { $case: 'header', value: { tableId, snapshotId, idempotencyKey: `${snapshotId}` } } };
  const kind = FileChangeKind.FILE_CHANGE_KIND_ADDED;
  const added = files.map(
    (file): DeepPartial<FileChange> => ({
      kind,
      file,
      sequenceNumber,
      fileSequenceNumber: sequenceNumber,
      addedSnapshotId: snapshotId,
    }),
  );
  yield { request: { $case: 'changes', value: { changes: added } } };
  yield { request: { $case: 'finish', value: {} } };
}
