import { z } from 'zod';
import type { SnapshotsServiceImplementation } from '../../generated/reconciler/v1/snapshots.ts';
import type { ServiceDeps } from '../core/ports.ts';
import { PageTokens, page, pageSize } from '../rpc/page-token.ts';
import { checkIds, required } from '../rpc/violations.ts';
import { deleteSnapshot } from '../store/snapshots/delete-snapshot.ts';
import { ensureSnapshot } from '../store/snapshots/ensure-snapshot.ts';
import * as store from '../store/snapshots/snapshots.ts';
import { getTableRow } from '../store/tables/tables.ts';
import { checkSnapshot } from '../validation/snapshot-checks.ts';

const tokens = new PageTokens('ListSnapshots', z.object({ published: z.number() }));

/** The service Snapshots. */
export function createSnapshotsService({ db }: ServiceDeps): SnapshotsServiceImplementation {
  return {
    async createSnapshot(request) {
      const snapshot = required(request.snapshot, 'snapshot');
      checkSnapshot(snapshot);
      return ensureSnapshot(db, snapshot, null, async (trx, { table, row }) =>
        store.snapshotFromRow(request.metadataOnly ? await store.publishMetadata(trx, row) : row, table),
      );
    },

    async getSnapshot(request) {
      checkIds({ table_id: request.tableId });
      const table = await getTableRow(db, request.tableId);
      return store.snapshotFromRow(await store.getSnapshotRow(db, table, request.snapshotId), table);
    },

    async listSnapshots(request) {
      checkIds({ table_id: request.tableId });
      const size = pageSize(request.pageSize);
      const filter = [request.tableId, request.showExpired];
      const after = tokens.decode(request.pageToken, filter);
      const table = await getTableRow(db, request.tableId);
      const rows = await store.listSnapshotRows(db, table.table_num, size + 1, request.showExpired, after?.published);
      const { items, last } = page(rows, size);
      const refs = store.refsBySnapshot(table);
      return {
        snapshots: items.map((row) => store.snapshotFromRow(row, table, refs)),
        nextPageToken: last ? tokens.encode({ published: last.published ?? 0 }, filter) : '',
      };
    },

    async deleteSnapshot(request) {
      checkIds({ table_id: request.tableId });
      const table = await getTableRow(db, request.tableId);
      await deleteSnapshot(db, table, await store.getSnapshotRow(db, table, request.snapshotId));
      return {};
    },
  };
}
