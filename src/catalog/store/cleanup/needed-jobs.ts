import { wholeRuns } from '../connectors/whole-run.ts';
import type { Scoped } from '../database/scoped.ts';

type Db = Scoped;

/**
 * Ids of a connector's jobs that must not be removed, however old they are: those that determine its status (see connector-lag.ts), those
 * that its last alert names, and those whose failures another job is retrying.
 */
export async function neededJobs(db: Db, connectorId: string): Promise<string[]> {
  const connector = await db
    .selectFrom('connectors')
    .select(['running_job_id', 'last_alert'])
    .where('tenant_id', '=', db.tenant)
    .where('connector_id', '=', connectorId)
    .executeTakeFirst();
  const alert: { jobId?: string; failedJobId?: string } = connector?.last_alert ? JSON.parse(connector.last_alert) : {};
  const retried = await db
    .selectFrom('jobs')
    .select('retry_of_job_id')
    .where('tenant_id', '=', db.tenant)
    .where('connector_id', '=', connectorId)
    .where('state', 'in', ['JS_QUEUED', 'JS_RUNNING'])
    .where('retry_of_job_id', '!=', '')
    .execute();
  const ids = [
    connector?.running_job_id,
    alert.jobId,
    alert.failedJobId,
    ...retried.map((row) => row.retry_of_job_id),
    ...(await statusJobs(db, connectorId)),
  ];
  return [...new Set(ids.filter((id) => id !== undefined && id !== ''))] as string[];
}

/** The last whole runs that succeeded and failed, and the retries that may have repaired the last one. */
async function statusJobs(db: Db, connectorId: string): Promise<string[]> {
  const jobs = db
    .selectFrom('jobs as j')
    .select(['j.job_id', 'j.job_num'])
    .where('j.tenant_id', '=', db.tenant)
    .where('j.connector_id', '=', connectorId);
  const lastRun = (state: string) =>
    jobs.where('j.state', '=', state).where(wholeRuns).orderBy('j.job_num', 'desc').limit(1).executeTakeFirst();
  const [succeeded, failed] = [await lastRun('JS_SUCCEEDED'), await lastRun('JS_FAILED')];
  const mayBeRepaired = failed && failed.job_num > (succeeded?.job_num ?? 0);
  const retries = mayBeRepaired
    ? await jobs.where('j.job_num', '>', failed.job_num).where('j.request_json', 'like', '%"retryOf":%').execute()
    : [];
  return [succeeded, failed, ...retries].flatMap((job) => job?.job_id ?? []);
}
