import { z } from 'zod';
import type { SnapshotsServiceImplementation } from '../../generated/reconciler/v1/snapshots.ts';
import type { ServiceDeps } from '../core/ports.ts';
import { PageTokens, page, pageSize } from '../rpc/page-token.ts';
import { Checks, required } from '../rpc/violations.ts';
import { compareSnapshots } from '../store/snapshots/compare-snapshots.ts';
import { deleteSnapshot } from '../store/snapshots/delete-snapshot.ts';
import { ensureSnapshot } from '../store/snapshots/ensure-snapshot.ts';
import * as store from '../store/snapshots/snapshots.ts';
import { getTableRow } from '../store/tables/tables.ts';
import { checkSnapshot } from '../validation/snapshot-checks.ts';

const tokens = new PageTokens('ListSnapshots', z.object({ published: z.number() }));
const MAX_ITEMS = 1000;

/** The service Snapshots. */
export function createSnapshotsService({ db }: ServiceDeps): SnapshotsServiceImplementation {
  async function listPage(
    table: Awaited<ReturnType<typeof getTableRow>>,
    size: number,
    showExpired: boolean,
    after?: number,
  ) {
    const rows = await store.listSnapshotRows(db, table.table_num, size + 1, showExpired, after);
    const { items, last } = page(rows, size);
    const refs = store.refsBySnapshot(table);
    return {
      snapshots: items.map((row) => store.snapshotFromRow(row, table, refs)),
      nextPageToken: last ? tokens.encode({ published: last.published ?? 0 }, [table.table_id, showExpired]) : '',
    };
  }
  return {
    async createSnapshot(request) {
      const snapshot = required(request.snapshot, 'snapshot');
      checkSnapshot(snapshot);
      return ensureSnapshot(db, snapshot, null, async (trx, { table, row }) =>
        store.snapshotFromRow(request.metadataOnly ? await store.publishMetadata(trx, row) : row, table),
      );
    },

    async getSnapshot(request) {
      checkTableId(request.tableId);
      const table = await getTableRow(db, request.tableId);
      return store.snapshotFromRow(await store.getSnapshotRow(db, table, request.snapshotId), table);
    },

    async listSnapshots(request) {
      checkTableId(request.tableId);
      const size = pageSize(request.pageSize);
      const after = tokens.decode(request.pageToken, [request.tableId, request.showExpired]);
      const table = await getTableRow(db, request.tableId);
      return listPage(table, size, request.showExpired, after?.published);
    },

    async compareSnapshots({ tableId, candidateIds, expectedDigest: digest, captured }) {
      const checks = new Checks();
      checks.id(tableId, 'table_id');
      const count = candidateIds.length;
      checks.that(count <= MAX_ITEMS, 'candidate_ids', `has ${count} entries, at most ${MAX_ITEMS} are allowed`);
      checks.done();
      const table = await getTableRow(db, tableId);
      const rows = await compareSnapshots(db, table.table_num, { candidateIds, digest, captured });
      if (rows === undefined) return { equal: false, ...(await listPage(table, MAX_ITEMS, false)) };
      const refs = store.refsBySnapshot(table);
      return {
        equal: true,
        snapshots: rows.map((row) => store.snapshotFromRow(row, table, refs)),
        nextPageToken: '',
      };
    },

    async expireSnapshots(request) {
      const checks = new Checks();
      checks.id(request.tableId, 'table_id');
      const count = request.snapshotIds.length;
      checks.that(count <= MAX_ITEMS, 'snapshot_ids', `has ${count} entries, at most ${MAX_ITEMS} are allowed`);
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
