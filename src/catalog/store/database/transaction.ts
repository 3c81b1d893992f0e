import type { Kysely } from 'kysely';
import type { Schema } from './schema.ts';

/** Does the work in a transaction and returns its result. With `validateOnly` the transaction is rolled back. */
export async function transaction<T>(
  db: Kysely<Schema>,
  validateOnly: boolean,
  work: (trx: Kysely<Schema>) => Promise<T>,
): Promise<T> {
  if (!validateOnly) return db.transaction().execute(work);
  const done: { result?: T } = {};
  const rolledBack = new Error('only validated');
  await db
    .transaction()
    .execute(async (trx) => {
      done.result = await work(trx);
      throw rolledBack;
    })
    .catch((error: unknown) => {
      if (error !== rolledBack) throw error;
    });
  return done.result as T;
}
