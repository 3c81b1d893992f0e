import { type AllTenants, type Scoped, scopedTo } from '../database/scoped.ts';
import { write } from '../database/transaction.ts';
import type { Removed } from './removed.ts';
import { ROWS, removeRowsOfJobs } from './rows-of-jobs.ts';

type Db = Scoped;

/** Jobs per transaction. */
const STEP = 100;

/**
 * Removes what jobs that ended before this time report of each table: their outcomes, and the changes of dry runs. The jobs stay, with the
 * information that their reports were removed.
 */
export async function* removeReports(all: AllTenants, before: number): AsyncGenerator<Removed> {
  for (let next = await nextJobs(all, before); next !== undefined; next = await nextJobs(all, before)) {
    const { jobs, tenant } = next;
    const db = scopedTo(all, tenant);
    for (let isEmpty = false; !isEmpty; ) {
      const removed = await write(db, (trx) => removeStep(trx, jobs));
      isEmpty = Object.values(removed).every((count) => count < ROWS);
      yield removed;
    }
  }
}

/** Some jobs of a tenant; undefined if none are left. */
async function nextJobs(all: AllTenants, before: number): Promise<{ tenant: string; jobs: string[] } | undefined> {
  const query = all.selectFrom('jobs').select(['tenant_id', 'job_id']);
  const old = query.where('report', '<', REMOVED).where('finished_at', '<=', before);
  const rows = await old.orderBy('finished_at').limit(STEP).execute();
  const tenant = rows[0]?.tenant_id;
  if (tenant === undefined) return undefined;
  return { tenant, jobs: rows.filter((row) => row.tenant_id === tenant).map((row) => row.job_id) };
}

/** Readers see no report from the first step on; after the last one, the jobs are not looked at again. */
async function removeStep(db: Db, jobs: string[]): Promise<{ changes: number; outcomes: number }> {
  const changes = await removeRowsOfJobs(db, 'job_changes', jobs);
  const outcomes = await removeRowsOfJobs(db, 'job_outcomes', jobs);
  const report = changes < ROWS && outcomes < ROWS ? REMOVED : BEING_REMOVED;
  await db.updateTable('jobs').set({ report }).where('tenant_id', '=', db.tenant).where('job_id', 'in', jobs).execute();
  return { changes, outcomes };
}

/** States of a job's report, beside 0: it is there. */
const BEING_REMOVED = 1;
const REMOVED = 2;
