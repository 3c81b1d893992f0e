import type { Kysely } from 'kysely';
import { CodedError } from '../../../errors.ts';
import type { Schema } from '../database/schema.ts';
import type { getTableRow } from '../tables/tables.ts';

type Table = Awaited<ReturnType<typeof getTableRow>>;

/**
 * The snapshot that was current at a time: of the current one and its ancestors, the newest that was committed by then.
 *
 * Upstreams keep a log of what was current when, but not all of them and not for ever; the ancestors are what it shows
 * wherever nothing was rolled back.
 *
 * @throws CodedError NOT_FOUND where there was none yet, or none that old is kept; FAILED_PRECONDITION where it may be one that was left out
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
    if (!row && table.coverage) throw leftOut(table, next, asOf);
    if (!row) break;
    if (row.committed_at !== null && row.committed_at <= asOf.getTime()) return BigInt(row.snapshot_id);
    next = row.parent_snapshot_id;
  }
  throw new CodedError(
    'NOT_FOUND',
    `table ${table.table_id} has no snapshot that was current at ${asOf.toISOString()}, or it is not kept any more`,
  );
}

function leftOut(table: Table, snapshotId: string, asOf: Date): CodedError {
  return new CodedError(
    'FAILED_PRECONDITION',
    `which snapshot of table ${table.table_id} was current at ${asOf.toISOString()} cannot be told: snapshot ${snapshotId} is not in ` +
      'the catalog, since the jobs so far took only some snapshots. Name a snapshot that is in, or run a job that takes all',
  );
}
