import type { Kysely } from 'kysely';
import { CodedError } from '../../errors.ts';
import type { Schema } from './schema.ts';
import type { getTableRow } from './tables.ts';

/**
 * The snapshot that was current at a time: of the current one and its ancestors, the newest that was committed by then.
 *
 * Upstreams keep a log of what was current when, but not all of them and not for ever; the ancestors are what it shows
 * wherever nothing was rolled back.
 *
 * @throws CodedError NOT_FOUND where there was none yet, or none that old is kept
 */
export async function currentAt(
  db: Kysely<Schema>,
  table: Awaited<ReturnType<typeof getTableRow>>,
  asOf: Date,
): Promise<bigint> {
  const rows = await db
    .selectFrom('snapshots')
    .select(['snapshot_id', 'parent_snapshot_id', 'committed_at'])
    .where('table_num', '=', table.table_num)
    .where('complete', '=', 1)
    .execute();
  const byId = new Map(rows.map((row) => [row.snapshot_id, row]));
  const seen = new Set<string>();
  let next = table.current_snapshot_id;
  while (next !== null && !seen.has(next)) {
    seen.add(next);
    const row = byId.get(next);
    if (!row) break;
    if (row.committed_at !== null && row.committed_at <= asOf.getTime()) return BigInt(row.snapshot_id);
    next = row.parent_snapshot_id;
  }
  throw new CodedError(
    'NOT_FOUND',
    `table ${table.table_id} has no snapshot that was current at ${asOf.toISOString()}, or it is not kept any more`,
  );
}
