import type { Kysely } from 'kysely';
import { snapshotDigest } from '../../../contract/snapshot-digest.ts';
import type { Schema } from '../database/schema.ts';
import type { StoredSnapshot } from './snapshots.ts';

type Db = Kysely<Schema>;

/** Rows that are hashed without a pause: about 10 ms, in which the service answers nobody else. */
const CHUNK = 5_000;

export interface ExpectedSnapshots {
  /** May be listed or not. */
  candidateIds: readonly bigint[];
  /** Of the ids of all others. */
  digest: bigint;
  /** They must have their files, too. */
  captured: boolean;
}

/**
 * Whether a table lists, besides candidates, exactly the expected snapshots.
 *
 * @returns the candidates that are listed; undefined if other snapshots are listed, or expected ones are not
 */
export async function compareSnapshots(
  db: Db,
  tableNum: number,
  { candidateIds, digest, captured }: ExpectedSnapshots,
): Promise<StoredSnapshot[] | undefined> {
  const candidates = new Set(candidateIds.map(String));
  let sum = 0n;
  let after = 0;
  for (;;) {
    const rows = await listed(db, tableNum)
      .select(['published', 'snapshot_id', 'complete'])
      .where('published', '>', after)
      .orderBy('published')
      .limit(CHUNK)
      .execute();
    const others = rows.filter(({ snapshot_id }) => !candidates.has(snapshot_id));
    if (captured && others.some(({ complete }) => complete === 0)) return undefined;
    sum += snapshotDigest(others.map(({ snapshot_id }) => BigInt(snapshot_id)));
    if (rows.length < CHUNK) break;
    after = rows.at(-1)?.published ?? after;
  }
  if (BigInt.asUintN(64, sum) !== digest) return undefined;
  if (candidates.size === 0) return [];
  return listed(db, tableNum)
    .selectAll()
    .where('snapshot_id', 'in', [...candidates])
    .execute();
}

/** As `listSnapshotRows` lists them by default. */
function listed(db: Db, tableNum: number) {
  return db
    .selectFrom('snapshots')
    .where('table_num', '=', tableNum)
    .where('published', 'is not', null)
    .where('expired_at', 'is', null);
}
