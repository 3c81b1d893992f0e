import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { withClaim } from '../../../src/catalog-client/claim.ts';
import { encodeCommitRequest } from '../../../src/catalog-client/raw-commit-snapshot.ts';
import { CommitSnapshotRequest } from '../../../src/generated/reconciler/internal/v1/ingestion.ts';
import { FileContent, FileFormat } from '../../../src/generated/reconciler/v1/statistics.ts';
import { SnapshotRefType, TableFormat } from '../../../src/generated/reconciler/v1/tables.ts';
import { added, long, SCHEMA, TestTable } from '../files.ts';
import { connectorSpec, failure, refusal, TestCatalog } from '../harness.ts';
import { recordStatements } from '../statements.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

const FILES = [
  added({ filePath: 'a', columns: [{ columnId: 1, valueCount: 10n, lowerBound: long(1) }], entry: 1, seq: 3 }),
  added({ filePath: 'b', recordCount: undefined, fileSizeInBytes: BigInt(2 ** 40), entry: 2, seq: 3 }),
  added({ filePath: 'c', fileContent: FileContent.FILE_CONTENT_EQUALITY_DELETES, equalityIds: [1], entry: 3, seq: 3 }),
  added({
    filePath: 'd.puffin',
    fileContent: FileContent.FILE_CONTENT_POSITION_DELETES,
    fileFormat: FileFormat.FILE_FORMAT_PUFFIN,
    contentOffset: 4n,
    contentSizeInBytes: 40n,
    referencedDataFile: 'a',
    entry: 5,
    seq: 3,
  }),
];
const ID = 7n;

/** A new table of an upstream, in a catalog and with a connector of its own. */
class NewTable {
  readonly #ensure: Record<string, unknown>;
  readonly namespaceId: string;
  readonly connectorId: string;

  private constructor(ids: { namespaceId: string; connectorId: string }) {
    this.namespaceId = ids.namespaceId;
    this.connectorId = ids.connectorId;
    this.#ensure = {
      ...ids,
      upstream: { namespacePath: ['src', 'deep'], name: 't' },
      uuid: 'u',
      name: 't',
      format: TableFormat.TABLE_FORMAT_ICEBERG,
      location: 'file:///t',
      schemas: [{ schemaId: SCHEMA.schemaId, json: SCHEMA.json }],
      partitionSpecs: [{ specId: 1, fields: [{ fieldId: 1000, name: 'id', transform: 'identity', sourceIds: [1] }] }],
    };
  }

  static async create(): Promise<NewTable> {
    const { connectorId } = await catalog.clients.connectors.createConnector({ connector: connectorSpec() });
    const { namespaceId } = await catalog.namespace();
    return new NewTable({ connectorId, namespaceId });
  }

  ensure(more: Record<string, unknown> = {}) {
    return catalog.clients.bindings.ensureTable({ ...this.#ensure, ...more });
  }

  async reserve(): Promise<string> {
    const { table, ...ensured } = await this.ensure({ reserveIfNew: true });
    expect(ensured).toMatchObject({ reserved: true, made: true, hasSnapshots: false });
    return table!.tableId;
  }

  /** Sends the snapshot, with the table or without, and moves the table to it. */
  commit(tableId: string, { withTable = true, changes = FILES, expected = 2n, update = {} } = {}) {
    const ensureTable = withTable ? { ...this.#ensure, tableId } : undefined;
    const [namespacePath, connectorId] = [['src', 'deep'], this.connectorId];
    const table = {
      tableId,
      formatVersion: 2,
      metadataLocation: 'file:///t/1.json',
      properties: { owner: 'me' },
      schema: { schemaId: SCHEMA.schemaId, json: SCHEMA.json },
      currentSnapshotId: ID,
      refs: [{ name: 'main', snapshotId: ID, type: SnapshotRefType.SNAPSHOT_REF_TYPE_BRANCH }],
      upstream: { connectorId, namespacePath, tableName: 't', uuid: 'u', fingerprint: 'f', fetchedAt: new Date(1e6) },
      ...update,
    };
    const updateMask = ['format_version', 'metadata_location', 'properties', 'schema', 'refs', 'upstream'];
    const requests = [
      {
        $case: 'header',
        value: { tableId, snapshotId: ID, idempotencyKey: 'k', snapshot: snapshotOf(tableId), ensureTable },
      },
      { $case: 'changes', value: { changes } },
      {
        $case: 'finish',
        value: {
          expectedDataFileCount: expected,
          updateTable: { table, updateMask: [...updateMask, 'current_snapshot_id'] },
        },
      },
    ];
    return catalog.clients.fileChanges.commitSnapshot(
      (async function* () {
        for (const request of requests) {
          const message = CommitSnapshotRequest.fromPartial({ request } as never);
          yield encodeCommitRequest(message.request!);
        }
      })(),
    );
  }

  /** What readers see of the table, without ids and times that differ from table to table. */
  async seen(tableId: string) {
    const { tables, snapshots } = catalog.clients;
    const files = await new TestTable(catalog, { tableId, namespaceId: this.namespaceId }).files(ID);
    const table = await tables.getTable({ tableId });
    const text = JSON.stringify(
      {
        table: { ...table, createdAt: 0, updatedAt: 0, etag: 0 },
        snapshots: (await snapshots.listSnapshots({ tableId })).snapshots.map((one) => ({ ...one, fetchedAt: 0 })),
        columns: await catalog.clients.statistics.listColumnStats({ tableId, snapshotId: ID }),
        files,
      },
      (_, value) => (typeof value === 'bigint' ? String(value) : value),
    );
    const ids = [tableId, this.namespaceId, this.connectorId, table.catalogId];
    return JSON.parse(ids.reduce((rest, id) => rest.replaceAll(id, 'id'), text));
  }
}

const snapshotOf = (tableId: string) => ({
  tableId,
  snapshotId: ID,
  sequenceNumber: 3n,
  committedAt: new Date(2e6),
  operation: 'append',
  summary: { 'added-data-files': '2' },
  schemaId: SCHEMA.schemaId,
  manifestList: 'file:///t/7.avro',
});

const countOf = (statements: string[], pattern: RegExp) => statements.filter((text) => pattern.test(text)).length;

it('is created with its first snapshot, in one transaction, as step by step', async () => {
  const [together, apart] = [await NewTable.create(), await NewTable.create()];
  const tableId = await together.reserve();
  expect(await failure(catalog.clients.tables.getTable({ tableId }))).toMatchObject({ code: 'NOT_FOUND' });
  const end = recordStatements();
  const response = await together.commit(tableId).finally(end);
  const { table } = await apart.ensure();
  expect(response).toEqual(await apart.commit(table!.tableId, { withTable: false }));
  expect(response).toMatchObject({ complete: true, tableUpdated: true, filesAdded: 4n, rowsWritten: 9n });
  expect([countOf(end(), /^commit/), countOf(end(), /^insert into "?tables/)]).toEqual([1, 0]);
  const seen = await together.seen(tableId);
  expect(seen).toEqual(await apart.seen(table!.tableId));
  expect(seen).toMatchObject({
    table: { name: 't', currentSnapshotId: '7', location: 'file:///t' },
    files: { length: 4 },
  });

  // The response may be lost: the same stream again changes nothing, and the table is found.
  expect(await together.commit(tableId)).toMatchObject({ complete: true, rowsWritten: 0n });
  expect(await together.ensure({ reserveIfNew: true })).toMatchObject({
    reserved: false,
    made: false,
    hasSnapshots: true,
  });
  expect(await together.seen(tableId)).toEqual(seen);
});

it('is created step by step if it is not as simple', async () => {
  const same = { filePath: 'a', recordCount: 5n };
  const cases: Record<string, Parameters<NewTable['commit']>[1]> = {
    'a path twice': { changes: [added({ ...same, entry: 1 }), added({ ...same, entry: 2 })] },
    'an entry twice, with other statistics': {
      changes: [added({ ...same, entry: 1 }), added({ ...same, recordCount: 6n, entry: 1 })],
      expected: 1n,
    },
    'another current snapshot': { update: { currentSnapshotId: undefined } },
    'another version of the schema': { update: { schema: { ...SCHEMA, schemaId: 1 } } },
    'more files than one transaction has': {
      changes: Array.from({ length: 4500 }, (_, n) => added({ filePath: `f${n}`, entry: n + 1 })),
      expected: 4500n,
    },
  };
  for (const [name, options] of Object.entries(cases)) {
    const [together, apart] = [await NewTable.create(), await NewTable.create()];
    const tableId = await together.reserve();
    const response = await together.commit(tableId, options);
    const { table } = await apart.ensure();
    expect([name, response]).toEqual([name, await apart.commit(table!.tableId, { ...options, withTable: false })]);
    if (options?.expected !== 4500n) {
      expect([name, await together.seen(tableId)]).toEqual([name, await apart.seen(table!.tableId)]);
    }
  }
});

it('is created whole or not at all', async () => {
  const table = await NewTable.create();
  const tableId = await table.reserve();
  expect(await failure(table.commit(tableId, { expected: 3n }))).toMatchObject(
    refusal('FAILED_PRECONDITION', '2 data files live, expected 3'),
  );
  const { connectorId, namespaceId } = table;
  expect(await failure(catalog.clients.tables.getTable({ tableId }))).toMatchObject({ code: 'NOT_FOUND' });

  // A claim that has passed to another job.
  const { epoch } = await catalog.claim(connectorId, 'first');
  await catalog.claim(connectorId, 'second', { dead: 'first' });
  const claim = { connectorId, epoch: Number(epoch), runId: 'run-of-first' };
  expect(await failure(withClaim(claim, () => table.commit(tableId)))).toMatchObject(
    refusal(
      'FAILED_PRECONDITION',
      'The claim on the connector has passed to job second: this run of job first may no longer write.',
    ),
  );
  expect(await failure(catalog.clients.tables.getTable({ tableId }))).toMatchObject({ code: 'NOT_FOUND' });

  // A name that was taken after the id was reserved.
  await catalog.clients.tables.createTable({
    table: { namespaceId, name: 't', format: TableFormat.TABLE_FORMAT_ICEBERG },
  });
  expect(await failure(table.commit(tableId))).toMatchObject(refusal('ABORTED', "table 't' was created"));
  expect(await failure(table.ensure({ tableId }))).toMatchObject(refusal('ABORTED', 'ingest it again'));
  const { table: taken, reserved } = await table.ensure({ reserveIfNew: true });
  expect([reserved, taken!.tableId === tableId]).toEqual([false, false]);
  expect(await table.commit(taken!.tableId)).toMatchObject({ complete: true });
});

it('is created under the reserved id without a snapshot, too', async () => {
  const table = await NewTable.create();
  const tableId = await table.reserve();
  expect(await table.ensure({ tableId })).toMatchObject({ made: true, reserved: false, table: { tableId } });
  expect(await table.ensure({ tableId })).toMatchObject({ made: false, table: { tableId } });
  expect(await table.commit(tableId)).toMatchObject({ complete: true, rowsWritten: 9n });
  const other = await NewTable.create();
  expect(await failure(other.commit(tableId))).toMatchObject(refusal('ABORTED', 'ingest it again'));
});
