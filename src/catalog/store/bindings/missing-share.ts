import { CodedError } from '../../../errors.ts';
import { ObjectKind } from '../../../generated/reconciler/internal/v1/bindings.ts';
import { shellWord } from '../../../text.ts';
import type { Scoped } from '../database/scoped.ts';

type Db = Scoped;

const KINDS = [ObjectKind.OBJECT_KIND_TABLE, ObjectKind.OBJECT_KIND_VIEW] as const;

/** Counts a connector's tables and views before a job that claims it. A further run of the same job keeps the counts. Call it in the transaction of the claim. */
export async function countBeforeJob(db: Db, connectorId: string, jobId: string): Promise<void> {
  const known = await countsOf(db, connectorId).where('job_id', '=', jobId).executeTakeFirst();
  if (known) return;
  const rows = await db
    .selectFrom('bindings')
    .select((eb) => ['kind', eb.fn.countAll<number>().as('count')])
    .where('tenant_id', '=', db.tenant)
    .where('connector_id', '=', connectorId)
    .where('missing_since', 'is', null)
    .groupBy('kind')
    .execute();
  for (const kind of KINDS) {
    const present = Number(rows.find((row) => row.kind === kind)?.count ?? 0);
    const counts = { job_id: jobId, present, marked: 0 };
    await db
      .insertInto('missing_counts')
      .values({ connector_id: connectorId, kind, ...counts })
      .onConflict((conflict) => conflict.columns(['connector_id', 'kind']).doUpdateSet(counts))
      .execute();
  }
}

/** A connector and the share of its tables, or views, that a job may mark. */
export interface ShareLimit {
  connectorId: string;
  connectorName: string;
  maxShare: number;
}

/**
 * Adds objects that a job has just marked to those that it has marked before. The worker checks the same share before it marks anything; here it
 * holds for whoever calls. A call that is repeated marks nothing again, and so adds nothing. Call it in the transaction that marks.
 *
 * @throws CodedError FAILED_PRECONDITION if the job has marked more than the share of what existed before it; its request may allow that
 */
export async function addMarked(db: Db, limit: ShareLimit, kind: ObjectKind, count: number): Promise<void> {
  const { connectorId, connectorName, maxShare } = limit;
  const counts = await countsOf(db, connectorId).where('kind', '=', kind).executeTakeFirst();
  if (counts === undefined || count === 0) return;
  const marked = counts.marked + count;
  // If there was nothing before the job, it has created what it marks.
  const total = counts.present || (await countPresent(db, connectorId, kind)) + marked;
  if (marked / total > maxShare && !(await mayMarkAll(db, counts.job_id))) {
    const what = kind === ObjectKind.OBJECT_KIND_VIEW ? 'views' : 'tables';
    throw new CodedError(
      'FAILED_PRECONDITION',
      `job ${counts.job_id} would mark ${marked} of ${total} ${what} as missing: more than the share of ${maxShare} that may go at once. ` +
        `If they were removed on purpose, run reconciler connector trigger ${shellWord(connectorName)} --allow-missing, or give the connector a larger --missing-max-share.`,
    );
  }
  await db
    .updateTable('missing_counts')
    .set({ marked })
    .where('connector_id', '=', connectorId)
    .where('kind', '=', kind)
    .execute();
}

function countsOf(db: Db, connectorId: string) {
  return db
    .selectFrom('missing_counts')
    .select(['job_id', 'present', 'marked'])
    .where('connector_id', '=', connectorId);
}

async function countPresent(db: Db, connectorId: string, kind: ObjectKind): Promise<number> {
  const { count } = await db
    .selectFrom('bindings')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('tenant_id', '=', db.tenant)
    .where('connector_id', '=', connectorId)
    .where('kind', '=', kind)
    .where('missing_since', 'is', null)
    .executeTakeFirstOrThrow();
  return Number(count);
}

async function mayMarkAll(db: Db, jobId: string): Promise<boolean> {
  const job = await db
    .selectFrom('jobs')
    .select('allow_missing')
    .where('tenant_id', '=', db.tenant)
    .where('job_id', '=', jobId)
    .executeTakeFirst();
  return job?.allow_missing === 1;
}
