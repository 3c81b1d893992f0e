import {
  IngestionDefinition,
  type IngestionServiceImplementation,
} from '../../generated/reconciler/internal/v1/ingestion.ts';
import type { ServiceDeps } from '../core/ports.ts';
import { lenientDefinition, rawRequests } from '../rpc/definitions.ts';
import { Checks } from '../rpc/violations.ts';
import { listPage } from '../snapshots/list-page.ts';
import { write } from '../store/database/transaction.ts';
import { compareSnapshots } from '../store/snapshots/compare-snapshots.ts';
import { expireSnapshots, refsBySnapshot, snapshotFromRow } from '../store/snapshots/snapshots.ts';
import { getTable, getTableRow, getTableRowToWrite } from '../store/tables/tables.ts';
import { applyTableUpdate, checkedTableUpdate } from '../tables/table-update.ts';
import { TABLE_MASK } from '../validation/table-checks.ts';
import { readCommitMessage, readMessages } from './commit-message.ts';
import { commitSnapshots } from './commit-snapshots.ts';
import { createSketchRpcs } from './sketch-rpcs.ts';

const MAX_ITEMS = 1000;

/** The service's definition, with CommitSnapshot requests left as bytes (see commit-message.ts). */
export const ingestionDefinition = rawRequests(lenientDefinition(IngestionDefinition), 'commitSnapshot');

/** The service Ingestion: what workers write of snapshots. */
export function createIngestionService(deps: ServiceDeps): IngestionServiceImplementation {
  const { db, clock } = deps;
  return {
    ...createSketchRpcs(deps),

    async expireSnapshots(request) {
      const checks = new Checks();
      checks.id(request.tableId, 'table_id');
      checks.list(request.snapshotIds, 'snapshot_ids', MAX_ITEMS);
      checks.done();
      const now = await clock.now();
      const expired = await write(db, async (trx) => {
        const table = await getTableRowToWrite(trx, request.tableId);
        return expireSnapshots(trx, table.table_num, request.snapshotIds, now);
      });
      return { expired: BigInt(expired) };
    },

    async compareSnapshots({ tableId, candidateIds, expectedDigest: digest, captured }) {
      const checks = new Checks();
      checks.id(tableId, 'table_id');
      checks.list(candidateIds, 'candidate_ids', MAX_ITEMS);
      checks.done();
      const table = await getTableRow(db, tableId);
      const rows = await compareSnapshots(db, table, { candidateIds, digest, captured });
      if (rows === undefined) return { equal: false, ...(await listPage(db, { table, size: MAX_ITEMS })) };
      const refs = refsBySnapshot(table);
      return { equal: true, snapshots: rows.map((row) => snapshotFromRow(row, table, refs)), nextPageToken: '' };
    },

    commitSnapshot: (requests) =>
      commitSnapshots(deps, readMessages(requests as unknown as AsyncIterable<Uint8Array>, readCommitMessage)),

    async updateTable(request) {
      const update = checkedTableUpdate(request, TABLE_MASK);
      return write(db, async (trx) => {
        await applyTableUpdate(trx, update);
        return getTable(trx, update.table.tableId);
      });
    },
  };
}
