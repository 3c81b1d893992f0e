import type { SnapshotsServiceImplementation } from '../../generated/reconciler/v1/snapshots.ts';
import type { ServiceDeps } from '../core/ports.ts';
import { pageSize } from '../rpc/page-token.ts';
import { checkIds, required } from '../rpc/violations.ts';
import { takePlace } from '../store/ingest/take-place.ts';
import { deleteSnapshot } from '../store/snapshots/delete-snapshot.ts';
import { ensureSnapshot } from '../store/snapshots/ensure-snapshot.ts';
import * as store from '../store/snapshots/snapshots.ts';
import { getTableRow } from '../store/tables/tables.ts';
import { checkSnapshot } from '../validation/snapshot-checks.ts';
import { listPage } from './list-page.ts';

/** The service Snapshots. */
export function createSnapshotsService({ db, purge }: ServiceDeps): SnapshotsServiceImplementation {
  return {
    async createSnapshot(request) {
      const snapshot = required(request.snapshot, 'snapshot');
      checkSnapshot(snapshot);
      const options = { stageKey: null, replacesOther: request.metadataOnly };
      let replaced = false;
      const stored = await ensureSnapshot(db, snapshot, options, async (trx, { table, row }) => {
        if (!request.metadataOnly) return store.snapshotFromRow(row, table);
        replaced = row.replacement === 1;
        if (replaced) await takePlace(trx, row);
        const published = await store.publishMetadata(trx, row);
        return store.snapshotFromRow(await store.setUnreadable(trx, published, snapshot.unreadable), table);
      });
      if (replaced) purge();
      return stored;
    },

    async getSnapshot(request) {
      checkIds({ table_id: request.tableId });
      const table = await getTableRow(db, request.tableId);
      return store.snapshotFromRow(await store.getSnapshotRow(db, table, request.snapshotId), table);
    },

    async listSnapshots({ tableId, pageToken, showExpired, newestFirst, ...request }) {
      checkIds({ table_id: tableId });
      const size = pageSize(request.pageSize);
      return listPage(db, { table: await getTableRow(db, tableId), size, pageToken, showExpired, newestFirst });
    },

    async deleteSnapshot(request) {
      checkIds({ table_id: request.tableId });
      const table = await getTableRow(db, request.tableId);
      await deleteSnapshot(db, table, await store.getSnapshotRow(db, table, request.snapshotId));
      return {};
    },
  };
}
