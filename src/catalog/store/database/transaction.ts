import type { Claim } from '../../../contract/claim.ts';
import { CodedError } from '../../../errors.ts';
import { currentClaim, requireClaim } from './claim-fence.ts';
import { recorded } from './record-call.ts';
import { type AllTenants, continueScope, isScoped } from './scoped.ts';
import { isDiskFull } from './sqlite/result-codes.ts';

/**
 * Does the work in a transaction and returns its result. Every transaction that writes uses this function: it first checks the claim of the
 * job that writes, in the same transaction, so that a run that has lost its connector can never write beside its successor. The transaction has the
 * tenant of the handle; one that has none does not write for a job.
 *
 * @throws ClaimLost, with nothing written
 */
export async function write<T, Db extends AllTenants>(db: Db, work: (trx: Db) => Promise<T>): Promise<T> {
  return writeFenced(db, async (trx, claim) => {
    if (claim && isScoped(trx)) await requireClaim(trx, claim);
    return work(trx);
  });
}

/** Like `write`, for work whose own first statement writes nothing if the claim is lost. */
export async function writeFenced<T, Db extends AllTenants>(
  db: Db,
  work: (trx: Db, claim: Claim | undefined) => Promise<T>,
): Promise<T> {
  const claim = currentClaim();
  return recorded((record) =>
    db.transaction().execute(async (trx) => {
      const result = await work(continueScope(db, trx), claim);
      await record(trx);
      return result;
    }),
  );
}

/**
 * Like `write`, for what was computed to answer a reader and can be computed again. A database that cannot be written to, because it is damaged or
 * locked or the disk is full, can still be read.
 *
 * @returns `otherwise` if it cannot be written to
 */
export async function writeDerived<T, Db extends AllTenants>(
  db: Db,
  otherwise: T,
  work: (trx: Db) => Promise<T>,
): Promise<T> {
  try {
    return await write(db, work);
  } catch (error) {
    const isReadOnly = error instanceof CodedError ? /^(DATA_LOSS|UNAVAILABLE)$/.test(error.code) : isDiskFull(error);
    if (!isReadOnly) throw error;
    return otherwise;
  }
}

/** Like `write`, but with `validateOnly` the transaction is rolled back. */
export async function transaction<T, Db extends AllTenants>(
  db: Db,
  validateOnly: boolean,
  work: (trx: Db) => Promise<T>,
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
