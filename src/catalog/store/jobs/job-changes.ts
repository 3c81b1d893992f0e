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
import { bytesOf, mapPage, type Page, readPage } from '../database/page-cut.ts';
import type { Scoped } from '../database/scoped.ts';

type Db = Scoped;

/** Kinds of objects that have a name in the destination, and actions that need the name. */
const NAMED = ['JOB_CHANGE_KIND_TABLE', 'JOB_CHANGE_KIND_VIEW'];
const NEEDS_NAME = ['JOB_CHANGE_ACTION_CREATE', 'JOB_CHANGE_ACTION_UPDATE'];

/**
 * Upserts the changes that a dry run would make, by kind and name.
 *
 * @throws CodedError ALREADY_EXISTS if a table or view needs a name in the destination that another one of the same job gets
 *   first: the job itself would fail in the same way
 */
export async function recordJobChanges(db: Db, job: ReconcileJob, changes: readonly JobChange[]): Promise<void> {
  for (const change of changes) {
    const { name, destination, reason } = change;
    const [kind, action] = [jobChangeKindToJSON(change.kind), jobChangeActionToJSON(change.action)];
    if (NAMED.includes(kind) && NEEDS_NAME.includes(action)) await refuseTakenDestination(db, job, change, kind);
    const values = { destination, action, reason };
    await db
      .insertInto('job_changes')
      .values({ tenant_id: db.tenant, job_id: job.jobId, kind, name, ...values })
      .onConflict((conflict) => conflict.columns(['tenant_id', 'job_id', 'kind', 'name']).doUpdateSet(values))
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
    .where('tenant_id', '=', db.tenant)
    .where('job_id', '=', jobId)
    .where('destination', '=', destination)
    .where('kind', 'in', NAMED)
    .where('action', 'in', NEEDS_NAME)
    .where((eb) => eb.or([eb('kind', '!=', kind), eb('name', '!=', name)]))
    .limit(1)
    .executeTakeFirst();
  if (!other) return;
  const [noun, otherNoun] = [kind, other.kind].map((name) => name.replace('JOB_CHANGE_KIND_', '').toLowerCase());
  const full = formatName(parseName(destination).slice(1));
  throw new CodedError(
    'ALREADY_EXISTS',
    `${noun} '${full}' belongs to '${other.name}' of connector '${connectorName}' (the ${otherNoun} that this job would ingest first): give connector '${connectorName}' another destination`,
  );
}

/** The last change of a page; the next page starts after it. */
export interface ChangeCursor {
  kind: string;
  name: string;
}

/** Lists a page of at most `size` changes after `after`, ordered by kind and name. */
export async function listChanges(db: Db, jobId: string, size: number, after?: ChangeCursor): Promise<Page<JobChange>> {
  let query = db.selectFrom('job_changes').selectAll().where('tenant_id', '=', db.tenant).where('job_id', '=', jobId);
  if (after) {
    query = query.where(({ eb, refTuple, tuple }) => eb(refTuple('kind', 'name'), '>', tuple(after.kind, after.name)));
  }
  const bytes = bytesOf('name', 'destination', 'reason');
  const page = await readPage(query.orderBy('kind').orderBy('name'), bytes, size);
  return mapPage(page, ({ kind, name, destination, action, reason }) => ({
    kind: jobChangeKindFromJSON(kind) as JobChangeKind,
    name,
    destination,
    action: jobChangeActionFromJSON(action) as JobChangeAction,
    reason,
  }));
}
