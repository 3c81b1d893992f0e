import type { Kysely } from 'kysely';
import type { Schema } from '../database/schema.ts';
import { write } from '../database/transaction.ts';
import type { Removed } from './removed.ts';

type Db = Kysely<Schema>;

/** Drafts per transaction. Each may have a megabyte. */
const STEP = 100;

/** Removes the drafts of connectors that were stored before this time: the service that validated them has stopped since. */
export async function* removeDrafts(db: Db, before: number): AsyncGenerator<Removed> {
  for (let count = STEP; count === STEP; ) {
    count = await write(db, (trx) => removeStep(trx, before));
    if (count > 0) yield { drafts: count };
  }
}

async function removeStep(db: Db, before: number): Promise<number> {
  const { numDeletedRows } = await db
    .deleteFrom('connector_drafts')
    .where('draft_id', 'in', ({ selectFrom }) =>
      selectFrom('connector_drafts')
        .select('draft_id')
        .where('created_at', '<=', before)
        .orderBy('created_at')
        .limit(STEP),
    )
    .executeTakeFirst();
  return Number(numDeletedRows);
}
