import type { Kysely } from 'kysely';
import { CodedError } from '../../../errors.ts';
import {
  type JobChange,
  type JobChangeAction,
  type JobChangeKind,
  jobChangeActionFromJSON,
  jobChangeActionToJSON,
  jobChangeKindFromJSON,
  jobChangeKindToJSON,
  type ReconcileJob,
} from '../../../generated/reconciler/v1/jobs.ts';
import { formatName, parseName } from '../../../names.ts';
import type { Schema } from '../database/schema.ts';

type Db = Kysely<Schema>;

/** Those that have a name in the destination, and what they would do to have it. */
const NAMED = ['JOB_CHANGE_KIND_TABLE', 'JOB_CHANGE_KIND_VIEW'];
const TAKES_NAME = ['JOB_CHANGE_ACTION_CREATE', 'JOB_CHANGE_ACTION_UPDATE'];

/**
 * Upserts what a dry run would do, by kind and name.
 *
 * @throws CodedError ALREADY_EXISTS where one wants a name in the destination that another one of the job would have by then, as the job
 *   itself would meet it
 */
export async function recordJobChanges(db: Db, job: ReconcileJob, changes: readonly JobChange[]): Promise<void> {
  for (const change of changes) {
    const { name, destination, reason } = change;
    const [kind, action] = [jobChangeKindToJSON(change.kind), jobChangeActionToJSON(change.action)];
    if (NAMED.includes(kind) && TAKES_NAME.includes(action)) await refuseTakenDestination(db, job, change, kind);
    const values = { destination, action, reason };
    await db
      .insertInto('job_changes')
      .values({ job_id: job.jobId, kind, name, ...values })
      .onConflict((conflict) => conflict.columns(['job_id', 'kind', 'name']).doUpdateSet(values))
      .execute();
  }
}

async function refuseTakenDestination(
  db: Db,
  { jobId, connectorName }: ReconcileJob,
  { name, destination }: JobChange,
  kind: string,
): Promise<void> {
  const other = await db
    .selectFrom('job_changes')
    .select(['kind', 'name'])
    .where('job_id', '=', jobId)
    .where('destination', '=', destination)
    .where('kind', 'in', NAMED)
    .where('action', 'in', TAKES_NAME)
    .where((eb) => eb.or([eb('kind', '!=', kind), eb('name', '!=', name)]))
    .limit(1)
    .executeTakeFirst();
  if (!other) return;
  const [noun, otherNoun] = [kind, other.kind].map((one) => one.replace('JOB_CHANGE_KIND_', '').toLowerCase());
  const full = formatName(parseName(destination).slice(1));
  throw new CodedError(
    'ALREADY_EXISTS',
    `${noun} '${full}' belongs to '${other.name}' of connector '${connectorName}' (the ${otherNoun} that this job would bring in first): give connector '${connectorName}' another destination`,
  );
}

/** Where a page of changes goes on. */
export interface ChangeCursor {
  kind: string;
  name: string;
}

/** By kind and name, those behind `after`. */
export async function listChanges(db: Db, jobId: string, limit: number, after?: ChangeCursor): Promise<JobChange[]> {
  let query = db.selectFrom('job_changes').selectAll().where('job_id', '=', jobId);
  if (after) {
    query = query.where(({ eb, refTuple, tuple }) => eb(refTuple('kind', 'name'), '>', tuple(after.kind, after.name)));
  }
  const rows = await query.orderBy('kind').orderBy('name').limit(limit).execute();
  return rows.map(({ kind, name, destination, action, reason }) => ({
    kind: jobChangeKindFromJSON(kind) as JobChangeKind,
    name,
    destination,
    action: jobChangeActionFromJSON(action) as JobChangeAction,
    reason,
  }));
}
