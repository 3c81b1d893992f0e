import type { Kysely } from 'kysely';
import type { Schema } from '../database/schema.ts';
import { write } from '../database/transaction.ts';
import type { Removed } from './removed.ts';

type Db = Kysely<Schema>;

/** Keys per transaction: some milliseconds. */
const STEP = 1000;

/** Removes the idempotency keys that were stored before this time. A request that is repeated later counts as a new one. */
export async function* removeKeys(db: Db, before: number): AsyncGenerator<Removed> {
  for (let count = STEP; count === STEP; ) {
    count = await write(db, (trx) => removeStep(trx, before));
    if (count > 0) yield { idempotency_keys: count };
  }
}

async function removeStep(db: Db, before: number): Promise<number> {
  const { numDeletedRows } = await db
    .deleteFrom('idempotency_keys')
    .where(({ eb, refTuple, selectFrom }) =>
      eb(
        refTuple('tenant_id', 'scope', 'idempotency_key'),
        'in',
        selectFrom('idempotency_keys')
          .select(['tenant_id', 'scope', 'idempotency_key'])
          .where('created_at', '<=', before)
          .orderBy('created_at')
          .limit(STEP)
          .$asTuple('tenant_id', 'scope', 'idempotency_key'),
      ),
    )
    .executeTakeFirst();
  return Number(numDeletedRows);
}
