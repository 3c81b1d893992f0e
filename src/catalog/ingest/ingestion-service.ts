import type { IngestionServiceImplementation } from '../../generated/reconciler/internal/v1/ingestion.ts';
import type { ServiceDeps } from '../core/ports.ts';
import { Checks } from '../rpc/violations.ts';
import { listPage } from '../snapshots/list-page.ts';
import { compareSnapshots } from '../store/snapshots/compare-snapshots.ts';
import { expireSnapshots, refsBySnapshot, snapshotFromRow } from '../store/snapshots/snapshots.ts';
import { getTableRow } from '../store/tables/tables.ts';
import { createSketchRpcs } from './sketch-rpcs.ts';

const MAX_ITEMS = 1000;

/** The service Ingestion: what workers write of snapshots. */
export function createIngestionService(deps: ServiceDeps): IngestionServiceImplementation {
  const { db } = deps;
  return {
    ...createSketchRpcs(deps),

    async expireSnapshots(request) {
      const checks = new Checks();
      checks.id(request.tableId, 'table_id');
      const count = request.snapshotIds.length;
      checks.that(count <= MAX_ITEMS, 'snapshot_ids', `has ${count} entries, at most ${MAX_ITEMS} are allowed`);
      checks.done();
      const expired = await db.transaction().execute(async (trx) => {
        const table = await getTableRow(trx, request.tableId);
        return expireSnapshots(trx, table.table_num, request.snapshotIds);
      });
      return { expired: BigInt(expired) };
    },

    async compareSnapshots({ tableId, candidateIds, expectedDigest: digest, captured }) {
      const checks = new Checks();
      checks.id(tableId, 'table_id');
      const count = candidateIds.length;
      checks.that(count <= MAX_ITEMS, 'candidate_ids', `has ${count} entries, at most ${MAX_ITEMS} are allowed`);
      checks.done();
      const table = await getTableRow(db, tableId);
      const rows = await compareSnapshots(db, table.table_num, { candidateIds, digest, captured });
      if (rows === undefined) return { equal: false, ...(await listPage(db, { table, size: MAX_ITEMS })) };
      const refs = refsBySnapshot(table);
      return { equal: true, snapshots: rows.map((row) => snapshotFromRow(row, table, refs)), nextPageToken: '' };
    },
  };
}
