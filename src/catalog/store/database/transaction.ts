import type { Kysely } from 'kysely';
import { currentClaim, requireClaim } from './claim-fence.ts';
import type { Schema } from './schema.ts';

/**
 * Does the work in a transaction and returns its result. Every transaction that writes uses this function: it first checks the claim of the
 * job that writes, in the same transaction, so that a run that has lost its connector can never write beside its successor.
 *
 * @throws ClaimLost, with nothing written
 */
export async function write<T>(db: Kysely<Schema>, work: (trx: Kysely<Schema>) => Promise<T>): Promise<T> {
  const claim = currentClaim();
  return db.transaction().execute(async (trx) => {
    if (claim) await requireClaim(trx, claim);
    return work(trx);
  });
}

/** Like `write`, but with `validateOnly` the transaction is rolled back. */
export async function transaction<T>(
  db: Kysely<Schema>,
  validateOnly: boolean,
  work: (trx: Kysely<Schema>) => Promise<T>,
): Promise<T> {
  if (!validateOnly) return write(db, work);
  const done: { result?: T } = {};
  const rolledBack = new Error('only validated');
  await write(db, async (trx) => {
    done.result = await work(trx);
    throw rolledBack;
  }).catch((error: unknown) => {
    if (error !== rolledBack) throw error;
  });
  return done.result as T;
}
