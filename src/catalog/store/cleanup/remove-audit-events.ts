import type { Kysely } from 'kysely';
import type { Schema } from '../database/schema.ts';
import { write } from '../database/transaction.ts';
import type { Removed } from './removed.ts';

/** Events per transaction: some milliseconds. */
const STEP = 1000;

/** Removes the events of calls that were made before this time. Nothing else ever changes or removes one. */
export async function* removeAuditEvents(db: Kysely<Schema>, before: number): AsyncGenerator<Removed> {
  for (let count = STEP; count === STEP; ) {
    count = await write(db, async (trx) => {
      const oldest = trx
        .selectFrom('audit_events')
        .select('audit_num')
        .where('at', '<=', before)
        .orderBy('at')
        .limit(STEP);
      const { numDeletedRows } = await trx
        .deleteFrom('audit_events')
        .where('audit_num', 'in', oldest)
        .executeTakeFirst();
      return Number(numDeletedRows);
    });
    if (count > 0) yield { audit_events: count };
  }
}
