import type { Insertable, Selectable } from 'kysely';
import { countersOf, isEnded } from '../../../contract/progress-message.ts';
import { CodedError } from '../../../errors.ts';
import { CaptureMode, captureModeFromJSON } from '../../../generated/reconciler/v1/capture.ts';
import {
  JobCounters,
  type JobFailure,
  type JobFailureKind,
  JobState,
  JobTrigger,
  jobFailureKindFromJSON,
  jobFailureKindToJSON,
  jobStateFromJSON,
  jobStateToJSON,
  jobTriggerFromJSON,
  jobTriggerToJSON,
  type ReconcileJob,
} from '../../../generated/reconciler/v1/jobs.ts';
import { deleteIdempotencyKeys } from '../database/idempotency.ts';
import { date, ms } from '../database/json.ts';
import { bytesOf, mapPage, type Page, readPage } from '../database/page-cut.ts';
import type { JobRow } from '../database/schema.ts';
import type { Scoped } from '../database/scoped.ts';
import { greaterCounters, sameCounters } from './job-counters.ts';

type Db = Scoped;

export async function findJob(db: Db, jobId: string): Promise<ReconcileJob | undefined> {
  const row = await db
    .selectFrom('jobs')
    .selectAll()
    .where('tenant_id', '=', db.tenant)
    .where('job_id', '=', jobId)
    .executeTakeFirst();
  return row && toMessage(row);
}

/** NOT_FOUND: jobs are removed some time after their end (see cleanup/retention.ts), so their ids may well be known to callers. */
function noJob(jobId: string): CodedError {
  const kept = 'RECONCILER_RETENTION_JOBS, by default 90 days, and the last 20 of a connector';
  return new CodedError(
    'NOT_FOUND',
    `job ${jobId} does not exist, or was removed some time after it had ended (${kept})`,
  );
}

/** @throws CodedError NOT_FOUND */
export async function getJob(db: Db, jobId: string): Promise<ReconcileJob> {
  const job = await findJob(db, jobId);
  if (!job) throw noJob(jobId);
  return job;
}

/**
 * Writes a job's record. A job that has ended is not set back to queued or running, a failed one has at least one error, and counters do
 * not decrease. `created_at` is set once. `started_at` and `finished_at` default to the time at which the job first runs and ends.
 *
 * @param options.anew the job was reset and runs again: its record starts anew, even if it had ended
 * @returns the stored record
 */
export async function putJob(db: Db, job: ReconcileJob, { anew = false } = {}): Promise<ReconcileJob> {
  const before = await findJob(db, job.jobId);
  if (before && !anew && isEnded(before.state) && !isEnded(job.state)) return before;
  if (before && anew) await forgetEnd(db, job);
  const stored = anew
    ? before && { ...before, startedAt: undefined, finishedAt: undefined, counters: undefined }
    : before;
  const now = new Date();
  const isQueued = job.state === JobState.JS_QUEUED;
  const row: Insertable<JobRow> & JobColumns = {
    job_id: job.jobId,
    tenant_id: db.tenant,
    connector_id: job.connectorId,
    connector_name: job.connectorName || (stored?.connectorName ?? ''),
    state: jobStateToJSON(job.state),
    message: job.message,
    created_at: (stored?.createdAt ?? job.createdAt ?? now).getTime(),
    started_at: ms(job.startedAt ?? stored?.startedAt ?? (isQueued ? undefined : now)),
    finished_at: isEnded(job.state) ? (job.finishedAt ?? stored?.finishedAt ?? now).getTime() : null,
    full_rescan: job.full || stored?.full ? 1 : 0,
    counters: JSON.stringify(JobCounters.toJSON(recordedCounters(job, stored))),
    phase: job.phase,
    run_id: job.runId || (stored?.runId ?? ''),
    trigger_kind: jobTriggerToJSON(
      job.trigger === JobTrigger.JOB_TRIGGER_UNSPECIFIED ? (stored?.trigger ?? job.trigger) : job.trigger,
    ),
    mode: job.mode === CaptureMode.CAPTURE_MODE_UNSPECIFIED ? (stored?.mode ?? job.mode) : job.mode,
    dry_run: job.dryRun || stored?.dryRun ? 1 : 0,
    paused: job.paused ? 1 : 0,
    request_json: job.requestJson || (stored?.requestJson ?? ''),
    retry_of_job_id: job.retryOfJobId || (stored?.retryOfJobId ?? ''),
    alert: null,
  };
  const { tenant_id: _, job_id: __, alert: ___, ...changes } = row;
  await db
    .insertInto('jobs')
    .values(row)
    .onConflict((conflict) => conflict.columns(['tenant_id', 'job_id']).doUpdateSet(changes))
    .execute();
  return toMessage(row);
}

/** Removes from a job's record what its former run left: the alert, the list of a dry run, and outcomes and failures that the job no longer counts. */
async function forgetEnd(db: Db, job: ReconcileJob): Promise<void> {
  await db.deleteFrom('job_changes').where('tenant_id', '=', db.tenant).where('job_id', '=', job.jobId).execute();
  await db
    .updateTable('jobs')
    .set({ alert: null, report: 0 })
    .where('tenant_id', '=', db.tenant)
    .where('job_id', '=', job.jobId)
    .execute();
  const failures = db.deleteFrom('job_failures').where('tenant_id', '=', db.tenant).where('job_id', '=', job.jobId);
  if (!countsWrites(countersOf(job)))
    await db.deleteFrom('job_outcomes').where('tenant_id', '=', db.tenant).where('job_id', '=', job.jobId).execute();
  const counted = countersOf(job).errors > 0n;
  // The failure of the job itself ended the former run, not this one.
  await (counted ? failures.where('kind', '=', 'JOB_FAILURE_KIND_JOB') : failures).execute();
}

function countsWrites(counters: JobCounters): boolean {
  const { tablesChanged, tablesMissing, tablesDropped, viewsChanged, viewsMissing, viewsDropped } = counters;
  return tablesChanged + tablesMissing + tablesDropped + viewsChanged + viewsMissing + viewsDropped > 0n;
}

/**
 * Raises counters of a job that has not ended to at least these.
 *
 * @returns the record before and after; undefined if nothing had to be written
 */
export async function raiseCounters(
  db: Db,
  jobId: string,
  counters: JobCounters,
): Promise<{ before: ReconcileJob; after: ReconcileJob } | undefined> {
  const before = await findJob(db, jobId);
  if (!before || isEnded(before.state)) return undefined;
  const raised = greaterCounters(countersOf(before), counters);
  if (sameCounters(raised, countersOf(before))) return undefined;
  const json = JSON.stringify(JobCounters.toJSON(raised));
  await db
    .updateTable('jobs')
    .set({ counters: json })
    .where('tenant_id', '=', db.tenant)
    .where('job_id', '=', jobId)
    .execute();
  return { before, after: { ...before, counters: raised } };
}

function recordedCounters(job: ReconcileJob, stored: ReconcileJob | undefined): JobCounters {
  const counters = stored ? greaterCounters(countersOf(job), countersOf(stored)) : countersOf(job);
  return job.state === JobState.JS_FAILED && counters.errors === 0n ? { ...counters, errors: 1n } : counters;
}

/** Allows a job to mark any number of objects as missing. */
export async function allowMissing(db: Db, jobId: string): Promise<void> {
  await db
    .updateTable('jobs')
    .set({ allow_missing: 1 })
    .where('tenant_id', '=', db.tenant)
    .where('job_id', '=', jobId)
    .execute();
}

/** Deletes the record of a job that was never started. */
export async function deleteJob(db: Db, jobId: string): Promise<void> {
  await db.deleteFrom('job_failures').where('tenant_id', '=', db.tenant).where('job_id', '=', jobId).execute();
  await db.deleteFrom('job_changes').where('tenant_id', '=', db.tenant).where('job_id', '=', jobId).execute();
  await db.deleteFrom('job_outcomes').where('tenant_id', '=', db.tenant).where('job_id', '=', jobId).execute();
  await db.deleteFrom('jobs').where('tenant_id', '=', db.tenant).where('job_id', '=', jobId).execute();
  await deleteIdempotencyKeys(db, jobId);
}

/** The last job of a page, newest first; the next page starts after it. */
export interface JobCursor {
  jobId: string;
}

/** Which jobs are listed; absent or empty: all. */
export interface JobFilter {
  connectorId: string;
  states: readonly JobState[];
  createdAfter?: Date;
}

/**
 * Lists a page of at most `size` jobs after `after`, newest first.
 *
 * @throws CodedError NOT_FOUND if the job `after` was removed
 */
export async function listJobs(
  db: Db,
  size: number,
  filter: JobFilter,
  after?: JobCursor,
): Promise<Page<ReconcileJob>> {
  const { connectorId, states, createdAfter } = filter;
  let query = db.selectFrom('jobs').selectAll().where('tenant_id', '=', db.tenant);
  // An id, or the name under which the jobs were recorded.
  const column = /^con_[0-9a-z]{10,}$/.test(connectorId) ? 'connector_id' : 'connector_name';
  if (connectorId !== '') query = query.where(column, '=', connectorId);
  if (states.length > 0) query = query.where('state', 'in', states.map(jobStateToJSON));
  if (createdAfter) {
    const created = db
      .selectFrom('jobs')
      .where('tenant_id', '=', db.tenant)
      .where('created_at', '>=', createdAfter.getTime());
    // The first one by number, so that older jobs are not read; after the clock was set back, they may have any time.
    const first = created.select(({ fn }) => fn.min('job_num').as('first'));
    query = query.where('created_at', '>=', createdAfter.getTime()).where('job_num', '>=', first);
  }
  if (after) query = query.where('job_num', '<', await numberOf(db, after.jobId));
  const bytes = bytesOf('job_id', 'connector_name', 'message', 'counters', 'phase', 'request_json');
  return mapPage(await readPage(query.orderBy('job_num', 'desc'), bytes, size), toMessage);
}

async function numberOf(db: Db, jobId: string): Promise<number> {
  const row = await db
    .selectFrom('jobs')
    .select('job_num')
    .where('tenant_id', '=', db.tenant)
    .where('job_id', '=', jobId)
    .executeTakeFirst();
  if (row) return row.job_num;
  throw new CodedError(
    'NOT_FOUND',
    `job ${jobId}, the last one of the page before, was removed meanwhile (RECONCILER_RETENTION_JOBS): start with the first page`,
  );
}

/** Ids of up to `limit` jobs of a connector that have not ended, newest first. */
export async function unfinishedJobs(db: Db, connectorId: string, limit: number): Promise<string[]> {
  const rows = await db
    .selectFrom('jobs')
    .select('job_id')
    .where('tenant_id', '=', db.tenant)
    .where('connector_id', '=', connectorId)
    .where('state', 'in', ['JS_QUEUED', 'JS_RUNNING'])
    .orderBy('job_num', 'desc')
    .limit(limit)
    .execute();
  return rows.map((row) => row.job_id);
}

/** Phase of a queued job whose cancellation was requested. */
const CANCELLING = 'cancelling';

/** Jobs that wait for their connector, newest first, without those whose cancellation was requested. */
export async function waitingJobs(db: Db, connectorId: string, limit: number): Promise<ReconcileJob[]> {
  const rows = await db
    .selectFrom('jobs')
    .innerJoin('connectors', 'connectors.connector_id', 'jobs.connector_id')
    .selectAll('jobs')
    .where('jobs.tenant_id', '=', db.tenant)
    .where('jobs.connector_id', '=', connectorId)
    .where('jobs.state', '=', 'JS_QUEUED')
    .whereRef('connectors.running_job_id', '!=', 'jobs.job_id')
    .where('jobs.phase', '!=', CANCELLING)
    .orderBy('jobs.job_num', 'desc')
    .limit(limit)
    .execute();
  return rows.map(toMessage);
}

/** Records that the cancellation of a queued job was requested. */
export async function markCancelling(db: Db, jobId: string): Promise<void> {
  await db
    .updateTable('jobs')
    .set({ phase: CANCELLING })
    .where('tenant_id', '=', db.tenant)
    .where('job_id', '=', jobId)
    .where('state', '=', 'JS_QUEUED')
    .execute();
}

/** Upserts failures, by table. `failedAt` defaults to now. */
export async function putFailures(db: Db, jobId: string, failures: readonly JobFailure[]): Promise<void> {
  for (const { table, code, message, failedAt, kind } of failures) {
    const values = {
      code,
      message,
      failed_at: (failedAt ?? new Date()).getTime(),
      kind: jobFailureKindToJSON(kind),
    };
    await db
      .insertInto('job_failures')
      .values({ tenant_id: db.tenant, job_id: jobId, table_name: table, ...values })
      .onConflict((conflict) => conflict.columns(['tenant_id', 'job_id', 'table_name']).doUpdateSet(values))
      .execute();
  }
}

/** The distinct kinds of a job's failures. */
export async function failureKinds(db: Db, jobId: string): Promise<JobFailureKind[]> {
  const rows = await db
    .selectFrom('job_failures')
    .select('kind')
    .distinct()
    .where('tenant_id', '=', db.tenant)
    .where('job_id', '=', jobId)
    .execute();
  return rows.map(({ kind }) => jobFailureKindFromJSON(kind));
}

/** Lists a page of at most `size` failures after `after`, ordered by table. */
export async function listFailures(db: Db, jobId: string, size: number, after?: string): Promise<Page<JobFailure>> {
  let query = db.selectFrom('job_failures').selectAll().where('tenant_id', '=', db.tenant).where('job_id', '=', jobId);
  if (after !== undefined) query = query.where('table_name', '>', after);
  const bytes = bytesOf('table_name', 'code', 'message');
  return mapPage(await readPage(query.orderBy('table_name'), bytes, size), (row) => ({
    table: row.table_name,
    code: row.code,
    message: row.message,
    failedAt: new Date(row.failed_at),
    kind: jobFailureKindFromJSON(row.kind),
  }));
}

type JobColumns = Omit<Selectable<JobRow>, 'job_num' | 'report' | 'allow_missing'>;

function toMessage(row: JobColumns): ReconcileJob {
  return {
    jobId: row.job_id,
    connectorId: row.connector_id,
    connectorName: row.connector_name,
    state: jobStateFromJSON(row.state),
    message: row.message,
    createdAt: date(row.created_at),
    startedAt: date(row.started_at),
    finishedAt: date(row.finished_at),
    full: row.full_rescan === 1,
    counters: JobCounters.fromJSON(JSON.parse(row.counters)),
    phase: row.phase,
    runId: row.run_id,
    trigger: jobTriggerFromJSON(row.trigger_kind),
    mode: captureModeFromJSON(row.mode),
    dryRun: row.dry_run === 1,
    paused: row.paused === 1,
    requestJson: row.request_json,
    retryOfJobId: row.retry_of_job_id,
  };
}
