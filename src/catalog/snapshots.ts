import { z } from 'zod';
import type { Snapshot, SnapshotsServiceImplementation } from '../generated/reconciler/v1/snapshots.ts';
import type { ServiceDeps } from './deps.ts';
import { PageTokens, page, pageSize } from './rpc/page-token.ts';
import { Checks, required } from './rpc/violations.ts';
import { deleteSnapshot, restage } from './store/delete-snapshot.ts';
import * as store from './store/snapshots.ts';
import { getTableRow } from './store/tables.ts';

const tokens = new PageTokens('ListSnapshots', z.object({ published: z.number() }));
const MOST = 1000;

/** The service Snapshots. */
export function createSnapshotsService({ db }: ServiceDeps): SnapshotsServiceImplementation {
  return {
    async createSnapshot(request) {
      const snapshot = required(request.snapshot, 'snapshot');
      checkSnapshot(snapshot);
      const table = await getTableRow(db, snapshot.tableId);
      const before = await store.findSnapshotRow(db, table.table_num, snapshot.snapshotId);
      if (before?.complete === 0 && before.base_snapshot_id !== (snapshot.baseSnapshotId?.toString() ?? null)) {
        await store.findBase(db, table, snapshot);
        await restage(db, before);
      }
      return db.transaction().execute(async (trx) => {
        const table = await getTableRow(trx, snapshot.tableId);
        const known = await store.findSnapshotRow(trx, table.table_num, snapshot.snapshotId);
        if (known) {
          await trx
            .updateTable('snapshots')
            .set(store.ownColumns(snapshot))
            .where('snapshot_num', '=', known.snapshot_num)
            .execute();
          // Bounds are compared and shown in the types of the snapshot's schema.
          if (known.schema_id !== (snapshot.schemaId ?? null)) {
            await trx.deleteFrom('column_states').where('snapshot_num', '=', known.snapshot_num).execute();
            await trx.deleteFrom('derived_ndv').where('snapshot_num', '=', known.snapshot_num).execute();
          }
        } else {
          const base = await store.findBase(trx, table, snapshot);
          await store.insertSnapshot(trx, table, snapshot, base);
        }
        const row = await store.findSnapshotRow(trx, table.table_num, snapshot.snapshotId);
        return store.snapshotMessage(required(row, 'snapshot'), table);
      });
    },

    async getSnapshot(request) {
      checkTableId(request.tableId);
      const table = await getTableRow(db, request.tableId);
      return store.snapshotMessage(await store.getSnapshotRow(db, table, request.snapshotId), table);
    },

    async listSnapshots(request) {
      checkTableId(request.tableId);
      const size = pageSize(request.pageSize);
      const filter = [request.tableId, request.showExpired];
      const after = tokens.decode(request.pageToken, filter);
      const table = await getTableRow(db, request.tableId);
      const rows = await store.listSnapshotRows(db, table.table_num, size + 1, request.showExpired, after?.published);
      const { items, last } = page(rows, size);
      const refs = store.refsBySnapshot(table);
      return {
        snapshots: items.map((row) => store.snapshotMessage(row, table, refs)),
        nextPageToken: last ? tokens.encode({ published: last.published ?? 0 }, filter) : '',
      };
    },

    async expireSnapshots(request) {
      const checks = new Checks();
      checks.id(request.tableId, 'table_id');
      const count = request.snapshotIds.length;
      checks.that(count <= MOST, 'snapshot_ids', `has ${count} entries, at most ${MOST} are allowed`);
      checks.done();
      const expired = await db.transaction().execute(async (trx) => {
        const table = await getTableRow(trx, request.tableId);
        return store.expireSnapshots(trx, table.table_num, request.snapshotIds);
      });
      return { expired: BigInt(expired) };
    },

    async deleteSnapshot(request) {
      checkTableId(request.tableId);
      const table = await getTableRow(db, request.tableId);
      await deleteSnapshot(db, table, await store.getSnapshotRow(db, table, request.snapshotId));
      return {};
    },
  };
}

function checkTableId(id: string): void {
  const checks = new Checks();
  checks.id(id, 'table_id');
  checks.done();
}

function checkSnapshot(snapshot: Snapshot): void {
  const checks = new Checks();
  checks.id(snapshot.tableId, 'snapshot.table_id');
  checks.count(snapshot.sequenceNumber, 'snapshot.sequence_number');
  checks.timestamp(snapshot.committedAt, 'snapshot.committed_at');
  checks.timestamp(snapshot.expiredAt, 'snapshot.expired_at');
  checks.text(snapshot.operation, 'snapshot.operation', { max: 100 });
  checks.map(snapshot.summary, 'snapshot.summary');
  checks.text(snapshot.manifestList, 'snapshot.manifest_list', { max: 8192 });
  checks.that(
    snapshot.baseSnapshotId !== snapshot.snapshotId,
    'snapshot.base_snapshot_id',
    'is the snapshot itself: it is based on another or on none',
  );
  checks.done();
}
