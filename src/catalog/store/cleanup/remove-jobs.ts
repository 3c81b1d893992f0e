import { type AllTenants, type Scoped, scopedTo } from '../database/scoped.ts';
import { write } from '../database/transaction.ts';
import { neededJobs } from './needed-jobs.ts';
import type { Removed } from './removed.ts';
import { ROWS, removeRowsOfJobs } from './rows-of-jobs.ts';

type Db = Scoped;

/** Jobs per transaction: some milliseconds, since each is in seven indexes. */
const STEP = 100;
/** Jobs of a connector that stay, however old they are. */
const KEPT = 20;

/**
 * Removes jobs that ended before this time, with their failures, changes and outcomes. The last jobs of each connector stay, and those that something
 * refers to; all jobs of deleted connectors go.
 */
export async function* removeJobs(all: AllTenants, before: number): AsyncGenerator<Removed> {
  for (let next = await nextConnector(all); next !== undefined; next = await nextConnector(all, next)) {
    const connector = next.connector_id;
    const db = scopedTo(all, next.tenant_id);
    const exists = await db
      .selectFrom('connectors')
      .select('connector_id')
      .where('tenant_id', '=', db.tenant)
      .where('connector_id', '=', connector)
      .executeTakeFirst();
    const oldestKept = exists && (await oldestOfLast(db, connector));
    // The connector has only a few jobs.
    if (exists && oldestKept === undefined) continue;
    if ((await endedJobs(db, connector, before, oldestKept, [])).length === 0) continue;
    const needed = async (db: Db) => (exists ? neededJobs(db, connector) : []);
    for (;;) {
      const jobs = await endedJobs(db, connector, before, oldestKept, await needed(db));
      if (jobs.length === 0) break;
      for (let gone = false; !gone; ) {
        // Looked up in each step, since a retry may begin between two of them.
        const removed = await write(db, async (trx) => removeStep(trx, without(jobs, await needed(trx))));
        gone = removed.jobs !== undefined;
        yield removed;
      }
    }
  }
}

/** Removes all jobs of a tenant that has no connector any more. */
export async function removeJobsOfTenant(db: Db): Promise<void> {
  for (;;) {
    const query = db.selectFrom('jobs').select('job_id').where('tenant_id', '=', db.tenant).limit(STEP);
    const jobs = (await query.execute()).map((row) => row.job_id);
    if (jobs.length === 0) return;
    await write(db, (trx) => removeStep(trx, jobs));
  }
}

type JobOwner = { tenant_id: string; connector_id: string };

/** The next connector that jobs have, in the order of tenants. Its id is empty for jobs whose connector was not found. */
async function nextConnector(all: AllTenants, after?: JobOwner): Promise<JobOwner | undefined> {
  let query = all.selectFrom('jobs').select(['tenant_id', 'connector_id']);
  if (after) {
    query = query.where(({ eb, refTuple, tuple }) =>
      eb(refTuple('tenant_id', 'connector_id'), '>', tuple(after.tenant_id, after.connector_id)),
    );
  }
  return query.orderBy('tenant_id').orderBy('connector_id').limit(1).executeTakeFirst();
}

/** The number of the oldest of a connector's last jobs; undefined if it has no others. */
async function oldestOfLast(db: Db, connector: string): Promise<number | undefined> {
  const query = db
    .selectFrom('jobs')
    .select('job_num')
    .where('tenant_id', '=', db.tenant)
    .where('connector_id', '=', connector);
  const row = await query
    .orderBy('job_num', 'desc')
    .offset(KEPT - 1)
    .limit(1)
    .executeTakeFirst();
  return row?.job_num;
}

async function endedJobs(
  db: Db,
  connector: string,
  before: number,
  oldestKept: number | undefined,
  needed: readonly string[],
): Promise<string[]> {
  let query = db
    .selectFrom('jobs')
    .select('job_id')
    .where('tenant_id', '=', db.tenant)
    .where('connector_id', '=', connector)
    .where('finished_at', '<=', before);
  if (oldestKept !== undefined) query = query.where('job_num', '<', oldestKept);
  if (needed.length > 0) query = query.where('job_id', 'not in', [...needed]);
  return (await query.orderBy('finished_at').limit(STEP).execute()).map((row) => row.job_id);
}

const without = (jobs: readonly string[], needed: readonly string[]) => jobs.filter((job) => !needed.includes(job));

/** Removes some of what belongs to the jobs or, if nothing is left of it, the jobs. */
async function removeStep(db: Db, jobs: string[]): Promise<Removed> {
  if (jobs.length === 0) return { jobs: 0 };
  const removed = {
    failures: await removeRowsOfJobs(db, 'job_failures', jobs),
    changes: await removeRowsOfJobs(db, 'job_changes', jobs),
    outcomes: await removeRowsOfJobs(db, 'job_outcomes', jobs),
  };
  const runs = await db
    .deleteFrom('job_runs')
    .where('run_num', 'in', (eb) =>
      eb
        .selectFrom('job_runs')
        .select('run_num')
        .where('tenant_id', '=', db.tenant)
        .where('job_id', 'in', jobs)
        .limit(ROWS),
    )
    .executeTakeFirst();
  if ([...Object.values(removed), Number(runs.numDeletedRows)].includes(ROWS)) return removed;
  await db.deleteFrom('idempotency_keys').where('tenant_id', '=', db.tenant).where('resource_id', 'in', jobs).execute();
  const { numDeletedRows } = await db
    .deleteFrom('jobs')
    .where('tenant_id', '=', db.tenant)
    .where('job_id', 'in', jobs)
    .executeTakeFirst();
  return { ...removed, jobs: Number(numDeletedRows) };
}
