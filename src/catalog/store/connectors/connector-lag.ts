import type { ReconcileRequest } from '../../../contract/job.ts';
import { durationSeconds } from '../../../durations.ts';
import { Connector } from '../../../generated/reconciler/v1/connectors.ts';
import { nextTimes } from '../../../temporal/next-times.ts';
import { compiledQuery } from '../database/compiled-query.ts';
import { type AllTenants, type Scoped, scopedTo } from '../database/scoped.ts';
import { wholeRuns } from './whole-run.ts';

/** Status of a connector's runs. Times are milliseconds since 1970. */
export interface ConnectorLag {
  tenant: string;
  name: string;
  /** End of its last good run, which is a successful whole run (see `isWholeRun`); otherwise its creation time. */
  goodSince: number;
  /**
   * Time between its scheduled runs. For a calendar, a third of the time from the last good run to the third scheduled one after it, so that
   * three missed runs are three intervals, however unequal they are. 0 if it has no enabled schedule, or is not active.
   */
  intervalSeconds: number;
  /** Whether its last whole run, or the last retry of what failed in it, failed. */
  lastFailed: boolean;
  running: number;
  queued: number;
  /** Absent for a connector that is paused or being deleted, since its jobs are not expected to start. */
  oldestQueuedAt?: number;
}

/** The lag of every connector of all tenants: a few index lookups per connector, however many jobs it has. */
export async function connectorLagsOfAllTenants(db: AllTenants): Promise<ConnectorLag[]> {
  const rows = await db
    .selectFrom('connectors as c')
    .select((eb) => {
      const jobs = eb
        .selectFrom('jobs as j')
        .whereRef('j.tenant_id', '=', 'c.tenant_id')
        .whereRef('j.connector_id', '=', 'c.connector_id');
      return [
        'c.tenant_id as tenant',
        'c.connector_id as connectorId',
        'c.display_name as name',
        'c.state as state',
        'c.body as body',
        'c.created_at as createdAt',
        jobs
          .select('j.finished_at')
          .where('j.state', '=', 'JS_SUCCEEDED')
          .where(wholeRuns)
          .orderBy('j.job_num', 'desc')
          .limit(1)
          .as('goodAt'),
        jobs
          .select('j.job_id')
          .where('j.state', 'in', ['JS_SUCCEEDED', 'JS_FAILED'])
          .where(wholeRuns)
          .orderBy('j.job_num', 'desc')
          .limit(1)
          .as('lastJobId'),
        jobs
          .select((on) => on.fn.countAll<number>().as('n'))
          .where('j.state', '=', 'JS_RUNNING')
          .as('running'),
        jobs
          .select((on) => on.fn.countAll<number>().as('n'))
          .where('j.state', '=', 'JS_QUEUED')
          .as('queued'),
        jobs
          .select((on) => on.fn.min('j.created_at').as('at'))
          .where('j.state', '=', 'JS_QUEUED')
          .as('oldestQueuedAt'),
      ];
    })
    .execute();
  const lags: ConnectorLag[] = [];
  for (const row of rows) {
    const goodSince = row.goodAt ?? row.createdAt;
    const active = row.state === 'CONNECTOR_STATE_ACTIVE';
    lags.push({
      tenant: row.tenant,
      name: row.name,
      goodSince,
      intervalSeconds: active ? intervalOf(row.body, goodSince) : 0,
      lastFailed: row.lastJobId !== null && (await isFailed(scopedTo(db, row.tenant), row.connectorId, row.lastJobId)),
      running: Number(row.running),
      queued: Number(row.queued),
      ...(active && row.oldestQueuedAt != null && { oldestQueuedAt: row.oldestQueuedAt }),
    });
  }
  return lags;
}

/** Whether a job failed, and no retry has repaired what failed in it. A retry of another, older job does not count. */
async function isFailed(db: Scoped, connectorId: string, jobId: string): Promise<boolean> {
  const [job] = await stateOf(db, db.tenant, jobId);
  if (job?.state !== 'JS_FAILED') return false;
  const retries = await db
    .selectFrom('jobs as j')
    .select(['j.job_id', 'j.state', 'j.request_json'])
    .where('j.tenant_id', '=', db.tenant)
    .where('j.connector_id', '=', connectorId)
    .where('j.job_num', '>', job.job_num)
    .where('j.dry_run', '=', 0)
    .where('j.request_json', 'like', '%"retryOf":%')
    .orderBy('j.job_num')
    .execute();
  // The job, its retries and their retries.
  const tries = new Set([jobId]);
  let last: string = job.state;
  for (const { job_id, state, request_json } of retries) {
    const { retryOf } = JSON.parse(request_json) as ReconcileRequest;
    if (retryOf === undefined || !tries.has(retryOf)) continue;
    tries.add(job_id);
    if (state === 'JS_SUCCEEDED' || state === 'JS_FAILED') last = state;
  }
  return last === 'JS_FAILED';
}

const stateOf = compiledQuery((db, tenant: string, jobId: string) =>
  db.selectFrom('jobs').select(['state', 'job_num']).where('tenant_id', '=', tenant).where('job_id', '=', jobId),
);

function intervalOf(body: string, goodSince: number): number {
  const { policy } = Connector.fromJSON(JSON.parse(body));
  if (!policy?.enabled) return 0;
  if (policy.cron.length === 0) return durationSeconds(policy.interval);
  return calendarInterval(policy.cron, policy.timeZone, goodSince);
}

/**
 * The last result of each calendar: it changes only with the next good run, and takes 0.2 ms per expression to compute, during which nothing
 * else is served.
 */
const calendarIntervals = new Map<string, number>();
/** Results that are kept, at some hundred bytes each. More connectors than this have calendars only in theory. */
const MAX_CALENDARS = 10_000;

function calendarInterval(cron: readonly string[], timeZone: string, goodSince: number): number {
  const key = JSON.stringify([cron, timeZone, goodSince]);
  const known = calendarIntervals.get(key);
  if (known !== undefined) return known;
  const third = nextTimes(cron, timeZone, new Date(goodSince), 3)[2];
  const seconds = third === undefined ? 0 : (third.getTime() - goodSince) / 3000;
  calendarIntervals.set(key, seconds);
  if (calendarIntervals.size > MAX_CALENDARS) calendarIntervals.delete(calendarIntervals.keys().next().value as string);
  return seconds;
}
