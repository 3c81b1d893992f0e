import type { Kysely } from 'kysely';
import type { Schema } from '../database/schema.ts';
import { write } from '../database/transaction.ts';
import type { Removed } from './removed.ts';
import { ROWS, removeRowsOfJobs } from './rows-of-jobs.ts';

type Db = Kysely<Schema>;

/** Jobs per transaction. */
const STEP = 100;

/**
 * Removes what jobs that ended before this time report of each table: their outcomes, and the changes of dry runs. The jobs stay, with the
 * information that their reports were removed.
 */
export async function* removeReports(db: Db, before: number): AsyncGenerator<Removed> {
  for (let jobs = await nextJobs(db, before); jobs.length > 0; jobs = await nextJobs(db, before)) {
    for (let isEmpty = false; !isEmpty; ) {
      const removed = await write(db, (trx) => removeStep(trx, jobs));
      isEmpty = Object.values(removed).every((count) => count < ROWS);
      yield removed;
    }
  }
}

async function nextJobs(db: Db, before: number): Promise<string[]> {
  const query = db.selectFrom('jobs').select('job_id').where('report', '<', REMOVED).where('finished_at', '<=', before);
  return (await query.orderBy('finished_at').limit(STEP).execute()).map((row) => row.job_id);
}

/** Readers see no report from the first step on; after the last one, the jobs are not looked at again. */
async function removeStep(db: Db, jobs: string[]): Promise<{ changes: number; outcomes: number }> {
  const changes = await removeRowsOfJobs(db, 'job_changes', jobs);
  const outcomes = await removeRowsOfJobs(db, 'job_outcomes', jobs);
  const report = changes < ROWS && outcomes < ROWS ? REMOVED : BEING_REMOVED;
  await db.updateTable('jobs').set({ report }).where('job_id', 'in', jobs).execute();
  return { changes, outcomes };
}

/** States of a job's report, beside 0: it is there. */
const BEING_REMOVED = 1;
const REMOVED = 2;
