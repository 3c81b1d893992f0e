import type { Scoped } from '../database/scoped.ts';

type Db = Scoped;

/** The latest Temporal run of a job that has claimed its connector or waited for it; undefined before that. */
export async function latestRun(db: Db, jobId: string): Promise<string | undefined> {
  const query = db
    .selectFrom('job_runs')
    .select('run_id')
    .where('tenant_id', '=', db.tenant)
    .where('job_id', '=', jobId);
  return (await query.orderBy('run_num', 'desc').limit(1).executeTakeFirst())?.run_id;
}

/** Whether the run is one of the job's runs that have claimed or waited. */
export async function isKnownRun(db: Db, jobId: string, runId: string): Promise<boolean> {
  const query = db
    .selectFrom('job_runs')
    .select('run_num')
    .where('tenant_id', '=', db.tenant)
    .where('run_id', '=', runId)
    .where('job_id', '=', jobId);
  return (await query.executeTakeFirst()) !== undefined;
}

/** Makes a run the latest one of its job. It must not be known yet. */
export async function insertRun(db: Db, jobId: string, runId: string): Promise<void> {
  await db.insertInto('job_runs').values({ tenant_id: db.tenant, job_id: jobId, run_id: runId }).execute();
}
