import { z } from 'zod';
import type {
  DropExpiredSnapshotsResponse_Dropped,
  ReconciliationServiceImplementation,
} from '../../generated/reconciler/v1/reconciliation.ts';
import type { ServiceDeps } from '../core/ports.ts';
import { PageTokens, page, pageSize } from '../rpc/page-token.ts';
import { Checks } from '../rpc/violations.ts';
import { boundAmong } from '../store/bindings/bound-names.ts';
import { getConnector } from '../store/connectors/connectors.ts';
import { pathOfKey } from '../store/database/path-key.ts';
import { dropSnapshot, type ExpiredSnapshot, listExpired, mayGo } from '../store/snapshots/drop-snapshot.ts';
import { findSnapshotRow } from '../store/snapshots/snapshots.ts';
import { deleteTable, getTableRow } from '../store/tables/tables.ts';
import { deleteView } from '../store/tables/views.ts';

const tokens = new PageTokens(
  'DropExpiredSnapshots',
  z.object({ pathKey: z.string(), tableName: z.string(), snapshotNum: z.number() }),
);
const MAX_ITEMS = 1000;

/** So long ago by the service's clock, which also marks. Undefined for undefined. */
export function ago(seconds: bigint | undefined): number | undefined {
  return seconds === undefined ? undefined : Date.now() - Number(seconds) * 1000;
}

type DropCalls = Pick<ReconciliationServiceImplementation, 'dropMissing' | 'dropExpiredSnapshots'>;

/** The calls of the service Reconciliation that drop what has been gone for long enough. Each can be repeated at any point. */
export function createDropRpcs({ db, purge }: ServiceDeps): DropCalls {
  return {
    async dropMissing({ connectorId, missingForSeconds, tableIds, viewIds }) {
      const checks = new Checks();
      checks.id(connectorId, 'connector_id');
      checks.that(
        tableIds.length <= MAX_ITEMS,
        'table_ids',
        `has ${tableIds.length} entries, at most ${MAX_ITEMS} are allowed`,
      );
      checks.that(
        viewIds.length <= MAX_ITEMS,
        'view_ids',
        `has ${viewIds.length} entries, at most ${MAX_ITEMS} are allowed`,
      );
      checks.done();
      const dropped = await db.transaction().execute(async (trx) => {
        await getConnector(trx, connectorId);
        const missingBy = ago(missingForSeconds);
        const tables = await boundAmong(trx, 'tables', connectorId, tableIds, missingBy);
        for (const id of tables) await deleteTable(trx, id, (await getTableRow(trx, id)).table_num);
        const views = await boundAmong(trx, 'views', connectorId, viewIds, missingBy);
        for (const id of views) await deleteView(trx, id);
        return { tables: tables.length, views: views.length };
      });
      if (dropped.tables > 0) purge();
      return { dropped: BigInt(dropped.tables + dropped.views) };
    },

    async dropExpiredSnapshots(request) {
      const { connectorId, expiredForSeconds, validateOnly } = request;
      const checks = new Checks();
      checks.id(connectorId, 'connector_id');
      checks.done();
      const size = pageSize(request.pageSize);
      const filter = [connectorId, String(expiredForSeconds)];
      const after = tokens.decode(request.pageToken, filter);
      await getConnector(db, connectorId);
      const expired = await listExpired(db, connectorId, ago(expiredForSeconds) ?? 0, size + 1, {
        after,
        validateOnly,
      });
      const { items, last } = page(expired, size);
      const gone: ExpiredSnapshot[] = [];
      for (const one of items) {
        if (await db.transaction().execute((trx) => (validateOnly ? wouldDrop(trx, one) : dropSnapshot(trx, one))))
          gone.push(one);
      }
      if (gone.length > 0 && !validateOnly) purge();
      const cursor = last && { pathKey: last.pathKey, tableName: last.tableName, snapshotNum: last.snapshotNum };
      return { tables: byTable(gone), nextPageToken: cursor ? tokens.encode(cursor, filter) : '' };
    },
  };
}

async function wouldDrop(db: ServiceDeps['db'], { tableId, snapshotId }: ExpiredSnapshot): Promise<boolean> {
  const table = await getTableRow(db, tableId);
  const row = await findSnapshotRow(db, table.table_num, snapshotId);
  return row !== undefined && mayGo(db, table, row);
}

/** Sorted as they are, those of a table stand together. */
function byTable(snapshots: readonly ExpiredSnapshot[]): DropExpiredSnapshotsResponse_Dropped[] {
  const tables: (DropExpiredSnapshotsResponse_Dropped & { tableId: string })[] = [];
  for (const { tableId, pathKey, tableName } of snapshots) {
    const last = tables.at(-1);
    if (last?.tableId === tableId) last.snapshots += 1n;
    else tables.push({ tableId, upstream: { namespacePath: pathOfKey(pathKey), name: tableName }, snapshots: 1n });
  }
  return tables.map(({ tableId: _, ...table }) => table);
}
