import type { Kysely } from 'kysely';
import type { Schema } from '../database/schema.ts';

type Db = Kysely<Schema>;

/**
 * Ids of a connector's jobs that must not be removed, however old they are: those that determine its status (see connector-lag.ts), those
 * that its last alert names, and those whose failures another job is retrying.
 */
export async function neededJobs(db: Db, connectorId: string): Promise<string[]> {
  const connector = await db
    .selectFrom('connectors')
    .select(['running_job_id', 'last_alert'])
    .where('connector_id', '=', connectorId)
    .executeTakeFirst();
  const alert: { jobId?: string; failedJobId?: string } = connector?.last_alert ? JSON.parse(connector.last_alert) : {};
  const lastRun = (state: string, without: readonly string[]) => {
    let query = db
      .selectFrom('jobs')
      .select('job_id')
      .where('connector_id', '=', connectorId)
      .where('state', '=', state)
      .where('dry_run', '=', 0);
    for (const key of without) query = query.where('request_json', 'not like', `%"${key}":%`);
    return query.orderBy('job_num', 'desc').limit(1).executeTakeFirst();
  };
  const retried = await db
    .selectFrom('jobs')
    .select('retry_of_job_id')
    .where('connector_id', '=', connectorId)
    .where('state', 'in', ['JS_QUEUED', 'JS_RUNNING'])
    .where('retry_of_job_id', '!=', '')
    .execute();
  const ids = [
    connector?.running_job_id,
    alert.jobId,
    alert.failedJobId,
    ...retried.map((row) => row.retry_of_job_id),
    (await lastRun('JS_FAILED', ['scope']))?.job_id,
    (await lastRun('JS_SUCCEEDED', ['scope']))?.job_id,
    (await lastRun('JS_SUCCEEDED', ['scope', 'retryOf']))?.job_id,
    (await lastRun('JS_SUCCEEDED', ['scope', 'retryOf', 'mode', 'snapshots']))?.job_id,
  ];
  return [...new Set(ids.filter((id) => id !== undefined && id !== ''))] as string[];
}
