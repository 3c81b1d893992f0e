import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { SnapshotRefType } from '../../../src/generated/reconciler/v1/tables.ts';
import { TestTable } from '../files.ts';
import { failure, refusal, TestCatalog } from '../harness.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

describe('Snapshots', () => {
  it('are listed in the order in which they became visible, with refs, and with expired ones if requested', async () => {
    const { snapshots, ingestion, tables } = catalog.clients;
    const table = await TestTable.create(catalog);
    const committedAt = new Date(1_700_000_000_000);
    const big = 2n ** 63n - 1n;
    await table.put({
      snapshotId: 7,
      snapshot: {
        parentSnapshotId: 99n,
        sequenceNumber: 4n,
        committedAt,
        operation: 'overwrite',
        summary: { 'added-files': '1' },
        schemaId: 0,
        manifestList: 'm.avro',
        firstRowId: 3n,
        addedRows: 5n,
      },
    });
    await table.put({ snapshotId: big, base: 7 });
    await table.put({ snapshotId: -3n, base: big });
    await table.createSnapshot({ snapshotId: 8, base: 7 });
    await tables.updateTable({
      table: {
        tableId: table.tableId,
        currentSnapshotId: big,
        refs: [
          { name: 'main', snapshotId: big, type: SnapshotRefType.SNAPSHOT_REF_TYPE_BRANCH },
          { name: 't', snapshotId: big, type: SnapshotRefType.SNAPSHOT_REF_TYPE_TAG },
        ],
      },
      updateMask: ['current_snapshot_id', 'refs'],
    });
    const list = async (showExpired = false) => {
      const first = await snapshots.listSnapshots({ tableId: table.tableId, pageSize: 2, showExpired });
      if (first.nextPageToken === '') return first.snapshots;
      return [
        ...first.snapshots,
        ...(
          await snapshots.listSnapshots({
            tableId: table.tableId,
            pageSize: 2,
            showExpired,
            pageToken: first.nextPageToken,
          })
        ).snapshots,
      ];
    };
    const [first, second] = await list();
    expect(first).toMatchObject({
      snapshotId: 7n,
      parentSnapshotId: 99n,
      sequenceNumber: 4n,
      committedAt,
      operation: 'overwrite',
      summary: { 'added-files': '1' },
      manifestList: 'm.avro',
      firstRowId: 3n,
      addedRows: 5n,
      refs: [],
      current: false,
    });
    expect(second).toMatchObject({ snapshotId: big, baseSnapshotId: 7n, refs: ['main', 't'], current: true });
    expect((await list()).map(({ snapshotId }) => snapshotId)).toEqual([7n, big, -3n]);
    expect(await ingestion.expireSnapshots({ tableId: table.tableId, snapshotIds: [7n, 8n, 1234n] })).toEqual({
      expired: 1n,
    });
    expect(await ingestion.expireSnapshots({ tableId: table.tableId, snapshotIds: [7n] })).toEqual({ expired: 0n });
    expect((await list()).map(({ snapshotId }) => snapshotId)).toEqual([big, -3n]);
    expect((await list(true)).map(({ snapshotId }) => snapshotId)).toEqual([7n, big, -3n]);
    const page = async (pageToken: string, newestFirst = true) =>
      snapshots.listSnapshots({ tableId: table.tableId, showExpired: true, newestFirst, pageSize: 2, pageToken });
    const newest = await page('');
    expect(newest.snapshots.map(({ snapshotId }) => snapshotId)).toEqual([-3n, big]);
    expect((await page(newest.nextPageToken)).snapshots.map(({ snapshotId }) => snapshotId)).toEqual([7n]);
    expect(await failure(page(newest.nextPageToken, false))).toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect((await snapshots.getSnapshot({ tableId: table.tableId, snapshotId: 7n })).expiredAt).toBeInstanceOf(Date);
    expect(await table.stats(7)).toMatchObject({ dataFileCount: 0n });
    // The snapshot was read again upstream, with other fields, which are updated.
    await table.createSnapshot({
      snapshotId: 7,
      snapshot: { operation: 'append', summary: {}, expiredAt: new Date(1) },
    });
    expect(await snapshots.getSnapshot({ tableId: table.tableId, snapshotId: 7n })).toMatchObject({
      operation: 'append',
      expiredAt: undefined,
    });
    expect(await failure(snapshots.getSnapshot({ tableId: table.tableId, snapshotId: 8n }))).toMatchObject(
      refusal('NOT_FOUND', `snapshot 8 of table ${table.tableId}`),
    );
    expect(await failure(snapshots.listSnapshots({ tableId: 'tbl_no' }))).toMatchObject({ code: 'NOT_FOUND' });
    expect(await failure(table.createSnapshot({ snapshotId: 1, snapshot: { sequenceNumber: -1n } }))).toMatchObject(
      refusal('INVALID_ARGUMENT', 'snapshot.sequence_number'),
    );
    expect(
      await failure(table.createSnapshot({ snapshotId: 1, snapshot: { unreadable: 'x'.repeat(2001) } })),
    ).toMatchObject(refusal('INVALID_ARGUMENT', 'snapshot.unreadable: has 2001 characters, at most 2000 are allowed'));
  });
});
