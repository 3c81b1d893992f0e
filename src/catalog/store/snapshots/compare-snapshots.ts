import type { Kysely } from 'kysely';
import { snapshotDigest } from '../../../contract/snapshot-digest.ts';
import { readPage } from '../database/page-cut.ts';
import type { Schema, TableRow } from '../database/schema.ts';
import { IDENTITY, identityOf } from './snapshot-identity.ts';
import { IS_UNREADABLE, SNAPSHOT_BYTES, type StoredSnapshot } from './snapshots.ts';

type Db = Kysely<Schema>;

/** Rows that are hashed without a pause: about 10 ms, during which the service answers no other call. */
const CHUNK = 2_500;

/** Unreadable snapshots in a response. If a table has more, its snapshots are listed in pages. */
const MAX_UNREADABLE = 1_000;

export interface ExpectedSnapshots {
  /** Snapshots that may or may not be listed. */
  candidateIds: readonly bigint[];
  /** Digest of all other expected snapshots (see snapshot-digest.ts). */
  digest: bigint;
  /** Whether the other snapshots must have their files. */
  captured: boolean;
}

/**
 * Compares the snapshots that a table lists, apart from the candidates, with the expected ones.
 *
 * @returns the candidates that are listed, and the unreadable snapshots, up to MAX_UNREADABLE; undefined if other snapshots are listed, expected ones
 *   are not, or more are unreadable or do not fit in a page
 */
export async function compareSnapshots(
  db: Db,
  table: Pick<TableRow, 'format'> & { table_num: number },
  { candidateIds, digest, captured }: ExpectedSnapshots,
): Promise<StoredSnapshot[] | undefined> {
  const tableNum = table.table_num;
  const candidates = new Set(candidateIds.map(String));
  let sum = 0n;
  let after = 0;
  for (;;) {
    const rows = await listed(db, tableNum)
      .select(['published', 'complete', 'unreadable', ...IDENTITY])
      .where('published', '>', after)
      .orderBy('published')
      .limit(CHUNK)
      .execute();
    const others = rows.filter(({ snapshot_id }) => !candidates.has(snapshot_id));
    if (captured && others.some(({ complete, unreadable }) => complete === 0 && unreadable === '')) return undefined;
    sum += snapshotDigest(others.map((row) => identityOf(row, table)));
    if (rows.length < CHUNK) break;
    after = rows.at(-1)?.published ?? after;
  }
  if (BigInt.asUintN(64, sum) !== digest) return undefined;
  const candidateRows = listed(db, tableNum)
    .selectAll()
    .where('snapshot_id', 'in', candidates.size === 0 ? [''] : [...candidates]);
  const found = await readPage(candidateRows, SNAPSHOT_BYTES, Math.max(candidates.size, 1));
  const unreadableRows = db.selectFrom('snapshots').selectAll().where('table_num', '=', tableNum).where(IS_UNREADABLE);
  const unreadable = await readPage(unreadableRows, SNAPSHOT_BYTES, MAX_UNREADABLE);
  if (found.last || unreadable.last) return undefined;
  const isListed = ({ published, expired_at }: StoredSnapshot) => published !== null && expired_at === null;
  return [...found.items, ...unreadable.items.filter((row) => isListed(row) && !candidates.has(row.snapshot_id))];
}

/** The snapshots that `listSnapshotRows` lists by default. */
function listed(db: Db, tableNum: number) {
  return db
    .selectFrom('snapshots')
    .where('table_num', '=', tableNum)
    .where('published', 'is not', null)
    .where('expired_at', 'is', null);
}
