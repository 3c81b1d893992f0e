import type { Kysely } from 'kysely';
import { snapshotDigest } from '../../../contract/snapshot-digest.ts';
import type { Schema } from '../database/schema.ts';
import { IDENTITY, identityOf } from './snapshot-identity.ts';
import type { StoredSnapshot } from './snapshots.ts';

type Db = Kysely<Schema>;

/** Rows that are hashed without a pause: about 10 ms, during which the service answers no other call. */
const CHUNK = 5_000;

/** Snapshots of a response: as many as there are candidates at most, and as many unreadable ones. */
const MAX_FOUND = 2_000;

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
 * @returns the candidates that are listed, and the unreadable snapshots, up to MAX_FOUND; undefined if other snapshots are listed, expected ones
 *   are not, or more are unreadable
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
      .select(['published', 'complete', 'unreadable', ...IDENTITY])
      .where('published', '>', after)
      .orderBy('published')
      .limit(CHUNK)
      .execute();
    const others = rows.filter(({ snapshot_id }) => !candidates.has(snapshot_id));
    if (captured && others.some(({ complete, unreadable }) => complete === 0 && unreadable === '')) return undefined;
    sum += snapshotDigest(others.map(identityOf));
    if (rows.length < CHUNK) break;
    after = rows.at(-1)?.published ?? after;
  }
  if (BigInt.asUintN(64, sum) !== digest) return undefined;
  const found = await listed(db, tableNum)
    .selectAll()
    .where((eb) => eb.or([eb('snapshot_id', 'in', [...candidates, '']), eb('unreadable', '<>', '')]))
    .limit(MAX_FOUND + 1)
    .execute();
  return found.length > MAX_FOUND ? undefined : found;
}

/** The snapshots that `listSnapshotRows` lists by default. */
function listed(db: Db, tableNum: number) {
  return db
    .selectFrom('snapshots')
    .where('table_num', '=', tableNum)
    .where('published', 'is not', null)
    .where('expired_at', 'is', null);
}
