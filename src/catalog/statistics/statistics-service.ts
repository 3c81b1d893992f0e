import {
  TableStatisticsDefinition,
  type TableStatisticsServiceImplementation,
  type TableStats,
} from '../../generated/reconciler/v1/statistics.ts';
import type { ServiceDeps } from '../core/ports.ts';
import { readMessages, readPutMessage } from '../ingest/commit-message.ts';
import { commitSnapshot } from '../ingest/commit-snapshot.ts';
import { lenientDefinition, rawRequests } from '../rpc/definitions.ts';
import { Checks, checkIds } from '../rpc/violations.ts';
import { write } from '../store/database/transaction.ts';
import { deleteFileCount } from '../store/files/expected-counts.ts';
import { countLiveRows } from '../store/files/live-row-count.ts';
import { totalsFromText } from '../store/files/totals.ts';
import { getCapturedSnapshot, type StoredSnapshot, setTableNdv, snapshotToRead } from '../store/snapshots/snapshots.ts';
import { getTableRow, getTableRowToWrite } from '../store/tables/tables.ts';
import { createColumnRpcs } from './column-rpcs.ts';
import { createFileRpcs } from './file-rpcs.ts';

/** The service's definition, in which requests of PutFileColumnStats stay bytes; see commit-message.ts. */
export const statisticsDefinition = rawRequests(
  lenientDefinition(TableStatisticsDefinition, { complete: ['listFileColumnStats', 'streamFileColumnStats'] }),
  'putFileColumnStats',
);

/** The service TableStatistics. */
export function createStatisticsService(deps: ServiceDeps): TableStatisticsServiceImplementation {
  const { db } = deps;
  return {
    ...createColumnRpcs(deps),
    ...createFileRpcs(deps),

    async getTableStats(request) {
      checkIds({ table_id: request.tableId });
      const table = await getTableRow(db, request.tableId);
      return tableStats(request.tableId, await snapshotToRead(db, table, request.snapshotId));
    },

    async putTableStats(request) {
      const checks = new Checks();
      checks.id(request.tableId, 'table_id');
      if (checks.that(request.ndv !== undefined, 'ndv', 'is required')) checks.count(request.ndv as bigint, 'ndv');
      checks.done();
      const row = await write(db, async (trx) => {
        const table = await getTableRowToWrite(trx, request.tableId);
        const stored = await getCapturedSnapshot(trx, table, request.snapshotId);
        const ndv = String(request.ndv);
        await setTableNdv(trx, stored.snapshot_num, ndv);
        return { ...stored, ndv };
      });
      return tableStats(request.tableId, row);
    },

    putFileColumnStats: (requests) =>
      commitSnapshot(deps, readMessages(requests as unknown as AsyncIterable<Uint8Array>, readPutMessage)),
  };

  async function tableStats(tableId: string, stored: StoredSnapshot): Promise<TableStats> {
    const { row, liveRowCount } = await countLiveRows(db, stored);
    const totals = totalsFromText(row.totals as string);
    const [data, position, equality, vectors] = [totals[1], totals[2], totals[3], totals[4]];
    return {
      tableId,
      snapshotId: BigInt(row.snapshot_id),
      rowCount: data.uncounted > 0n ? undefined : data.records,
      liveRowCount,
      dataFileCount: data.files,
      deleteFileCount: deleteFileCount(totals),
      totalSizeBytes: data.bytes + position.bytes + equality.bytes + vectors.bytes,
      dataSizeBytes: data.bytes,
      positionDeleteFileCount: position.files,
      positionDeleteRecordCount: position.records,
      deletionVectorCount: vectors.files,
      deletionVectorRecordCount: vectors.records,
      equalityDeleteFileCount: equality.files,
      equalityDeleteRecordCount: equality.records,
      ndv: row.ndv === null ? undefined : BigInt(row.ndv),
      fetchedAt: new Date(row.fetched_at),
    };
  }
}
