import type { Kysely } from 'kysely';
import { CodedError } from '../../../errors.ts';
import type { Schema } from '../database/schema.ts';
import type { getTableRow } from '../tables/tables.ts';

type Table = Awaited<ReturnType<typeof getTableRow>>;

/**
 * Finds the snapshot that was current at a time: the newest one that was committed by then, among the current snapshot and its
 * ancestors.
 *
 * Iceberg's snapshot log would be exact, but not every upstream has one, and old entries are removed. The ancestors equal the
 * log unless the table was rolled back.
 *
 * @returns the snapshot's id
 * @throws CodedError NOT_FOUND if no kept snapshot is that old, FAILED_PRECONDITION if it may be one that was not ingested
 */
export async function currentAt(db: Kysely<Schema>, table: Table, asOf: Date): Promise<bigint> {
  const rows = await db
    .selectFrom('snapshots')
    .select(['snapshot_id', 'parent_snapshot_id', 'committed_at'])
    .where('table_num', '=', table.table_num)
    .where('published', 'is not', null)
    .execute();
  const byId = new Map(rows.map((row) => [row.snapshot_id, row]));
  const seen = new Set<string>();
  let next = table.current_snapshot_id;
  while (next !== null && !seen.has(next)) {
    seen.add(next);
    const row = byId.get(next);
    if (!row && table.coverage) throw notIngested(table, next, asOf);
    if (!row) break;
    if (row.committed_at !== null && row.committed_at <= asOf.getTime()) return BigInt(row.snapshot_id);
    next = row.parent_snapshot_id;
  }
  throw new CodedError(
    'NOT_FOUND',
    `table ${table.table_id} has no snapshot that was current at ${asOf.toISOString()}: it has none that old, or that one was dropped`,
  );
}

function notIngested(table: Table, snapshotId: string, asOf: Date): CodedError {
  return new CodedError(
    'FAILED_PRECONDITION',
    `the snapshot of table ${table.table_id} that was current at ${asOf.toISOString()} is not known: snapshot ${snapshotId} is not in ` +
      'the catalog, since jobs ingested only some snapshots. Request a snapshot by id, or run a job that ingests all snapshots',
  );
}
