import type { Kysely } from 'kysely';
import type { Schema } from '../database/schema.ts';
import { write } from '../database/transaction.ts';
import type { Removed } from './removed.ts';

type Db = Kysely<Schema>;

/** Changes per transaction: some milliseconds. */
const STEP = 1000;

/** Removes the changes of dry runs that ended before this time. Their jobs stay, with the information that the changes were removed. */
export async function* removeChanges(db: Db, before: number): AsyncGenerator<Removed> {
  for (let job = await nextJob(db, ''); job !== undefined; job = await nextJob(db, job)) {
    const row = await db.selectFrom('jobs').select('finished_at').where('job_id', '=', job).executeTakeFirst();
    const finishedAt = row?.finished_at ?? Number.POSITIVE_INFINITY;
    if (finishedAt > before) continue;
    for (let more = true; more; ) {
      const count = await write(db, (trx) => removeStep(trx, job as string));
      more = count === STEP;
      yield { changes: count };
    }
  }
}

/** The next job that has changes. Few have, since only recent dry runs do. */
async function nextJob(db: Db, after: string): Promise<string | undefined> {
  const query = db.selectFrom('job_changes').select('job_id').where('job_id', '>', after);
  return (await query.orderBy('job_id').limit(1).executeTakeFirst())?.job_id;
}

async function removeStep(db: Db, job: string): Promise<number> {
  await db.updateTable('jobs').set({ changes_removed: 1 }).where('job_id', '=', job).execute();
  const { numDeletedRows } = await db
    .deleteFrom('job_changes')
    .where('job_id', '=', job)
    .where(({ eb, refTuple, selectFrom }) =>
      eb(
        refTuple('kind', 'name'),
        'in',
        selectFrom('job_changes')
          .select(['kind', 'name'])
          .where('job_id', '=', job)
          .limit(STEP)
          .$asTuple('kind', 'name'),
      ),
    )
    .executeTakeFirst();
  return Number(numDeletedRows);
}
