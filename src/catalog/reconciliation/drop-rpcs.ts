import { z } from 'zod';
import { missingPolicy } from '../../contract/missing-policy.ts';
import { durationSeconds } from '../../durations.ts';
import { CodedError } from '../../errors.ts';
import { ObjectKind } from '../../generated/reconciler/internal/v1/bindings.ts';
import type {
  DropExpiredSnapshotsResponse_Dropped,
  ReconciliationServiceImplementation,
} from '../../generated/reconciler/internal/v1/reconciliation.ts';
import type { Connector } from '../../generated/reconciler/v1/connectors.ts';
import { JobResult } from '../../generated/reconciler/v1/jobs.ts';
import type { ServiceDeps } from '../core/ports.ts';
import { PageTokens, pageSize } from '../rpc/page-token.ts';
import { Checks, checkIds } from '../rpc/violations.ts';
import { boundAmong } from '../store/bindings/bindings.ts';
import { deleteObject } from '../store/bindings/objects.ts';
import { recordGone } from '../store/bindings/record-gone.ts';
import { getConnector } from '../store/connectors/connectors.ts';
import { pathOfKey } from '../store/database/path-key.ts';
import { write } from '../store/database/transaction.ts';
import {
  dropSnapshot,
  type ExpiredSnapshot,
  isDroppable,
  listExpiredSnapshots,
} from '../store/snapshots/drop-snapshot.ts';
import { findSnapshotRow } from '../store/snapshots/snapshots.ts';
import { getTableRow } from '../store/tables/tables.ts';

const tokens = new PageTokens(
  'DropExpiredSnapshots',
  z.object({ pathKey: z.string(), tableName: z.string(), snapshotNum: z.number() }),
);
const MAX_ITEMS = 1000;

type DropRpcs = Pick<ReconciliationServiceImplementation, 'dropMissing' | 'dropExpiredSnapshots'>;

/** The RPCs of the service Reconciliation that drop what has been missing or expired for long enough. Each can be repeated at any point. */
export function createDropRpcs({ db, clock, purge }: ServiceDeps): DropRpcs {
  return {
    async dropMissing({ connectorId, missingFor, tableIds, viewIds }) {
      const checks = new Checks();
      checks.id(connectorId, 'connector_id');
      checks.list(tableIds, 'table_ids', MAX_ITEMS);
      checks.list(viewIds, 'view_ids', MAX_ITEMS);
      checks.done();
      const dropAfter = dropAfterSeconds(await getConnector(db, connectorId));
      const missingBy = await clock.ago(Math.max(durationSeconds(missingFor), dropAfter) * 1000);
      const dropped = await write(db, async (trx) => {
        const tables = await boundAmong(trx, ObjectKind.OBJECT_KIND_TABLE, connectorId, tableIds, missingBy);
        await recordGone(trx, connectorId, ObjectKind.OBJECT_KIND_TABLE, tables, JobResult.JOB_RESULT_DROPPED);
        for (const id of tables) await deleteObject(trx, ObjectKind.OBJECT_KIND_TABLE, id);
        const views = await boundAmong(trx, ObjectKind.OBJECT_KIND_VIEW, connectorId, viewIds, missingBy);
        await recordGone(trx, connectorId, ObjectKind.OBJECT_KIND_VIEW, views, JobResult.JOB_RESULT_DROPPED);
        for (const id of views) await deleteObject(trx, ObjectKind.OBJECT_KIND_VIEW, id);
        return { tables: tables.length, views: views.length };
      });
      if (dropped.tables > 0) purge();
      return { dropped: BigInt(dropped.tables + dropped.views) };
    },

    async dropExpiredSnapshots(request) {
      const { connectorId, expiredFor, validateOnly } = request;
      checkIds({ connector_id: connectorId });
      const size = pageSize(request.pageSize);
      const filter = [connectorId, String(durationSeconds(expiredFor)), String(validateOnly)];
      const after = tokens.decode(request.pageToken, filter);
      const dropAfter = dropAfterSeconds(await getConnector(db, connectorId));
      const expiredBy = await clock.ago(Math.max(durationSeconds(expiredFor), dropAfter) * 1000);
      const { items, last } = await listExpiredSnapshots(db, connectorId, expiredBy, size, {
        after,
        validateOnly,
      });
      const dropped: ExpiredSnapshot[] = [];
      for (const snapshot of items) {
        if (await write(db, (trx) => (validateOnly ? previewDrop(trx, snapshot) : dropSnapshot(trx, snapshot))))
          dropped.push(snapshot);
      }
      if (dropped.length > 0 && !validateOnly) purge();
      const cursor = last && { pathKey: last.pathKey, tableName: last.tableName, snapshotNum: last.snapshotNum };
      return { tables: byTable(dropped), nextPageToken: cursor ? tokens.encode(cursor, filter) : '' };
    },
  };
}

/**
 * How long something must have been missing or expired before it is dropped. The worker asks for the same; here it holds for whoever calls.
 *
 * @throws CodedError FAILED_PRECONDITION if the connector's policy drops nothing
 */
function dropAfterSeconds(connector: Connector): number {
  const { action, dropAfterSeconds } = missingPolicy(connector);
  if (action === 'DROP') return dropAfterSeconds;
  throw new CodedError(
    'FAILED_PRECONDITION',
    `connector '${connector.displayName}' drops nothing that is gone upstream: its policy is ${action}, and only DROP drops`,
  );
}

/** Whether `dropSnapshot` would drop the snapshot. */
async function previewDrop(db: ServiceDeps['db'], { tableId, snapshotId }: ExpiredSnapshot): Promise<boolean> {
  const table = await getTableRow(db, tableId);
  const row = await findSnapshotRow(db, table.table_num, snapshotId);
  return row !== undefined && isDroppable(db, table, row);
}

/** Counts the snapshots per table. They are sorted, so those of a table are adjacent. */
function byTable(snapshots: readonly ExpiredSnapshot[]): DropExpiredSnapshotsResponse_Dropped[] {
  const tables: (DropExpiredSnapshotsResponse_Dropped & { tableId: string })[] = [];
  for (const { tableId, pathKey, tableName } of snapshots) {
    const last = tables.at(-1);
    if (last?.tableId === tableId) last.snapshots += 1n;
    else tables.push({ tableId, upstream: { namespacePath: pathOfKey(pathKey), name: tableName }, snapshots: 1n });
  }
  return tables.map(({ tableId: _, ...table }) => table);
}
