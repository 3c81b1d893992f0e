import { ObjectKind } from '../../../generated/reconciler/internal/v1/bindings.ts';
import { JobChangeKind, JobOutcome, type JobResult } from '../../../generated/reconciler/v1/jobs.ts';
import { formatName } from '../../../names.ts';
import { pathOfKey } from '../database/path-key.ts';
import type { Scoped } from '../database/scoped.ts';
import { recordOutcomes } from '../jobs/job-outcomes.ts';

type Db = Scoped;

/** Records with the job that has the claim on the connector, if there is one, that it marks or drops these bound tables or views. */
export async function recordGone(
  db: Db,
  connectorId: string,
  kind: ObjectKind,
  ids: readonly string[],
  result: JobResult,
): Promise<void> {
  if (ids.length === 0) return;
  const job = await db
    .selectFrom('connectors')
    .innerJoin('jobs', (join) =>
      join.onRef('jobs.tenant_id', '=', 'connectors.tenant_id').onRef('jobs.job_id', '=', 'connectors.running_job_id'),
    )
    .select('jobs.job_id')
    .where('connectors.tenant_id', '=', db.tenant)
    .where('connectors.connector_id', '=', connectorId)
    .executeTakeFirst();
  if (!job) return;
  const gone = await db
    .selectFrom('bindings')
    .select(['upstream_path_key', 'upstream_name'])
    .where('tenant_id', '=', db.tenant)
    .where('object_id', 'in', [...ids])
    .execute();
  const outcomes = gone.map(({ upstream_path_key, upstream_name }) =>
    JobOutcome.create({
      kind:
        kind === ObjectKind.OBJECT_KIND_VIEW ? JobChangeKind.JOB_CHANGE_KIND_VIEW : JobChangeKind.JOB_CHANGE_KIND_TABLE,
      name: formatName([...pathOfKey(upstream_path_key), upstream_name]),
      result,
    }),
  );
  await recordOutcomes(db, job.job_id, STEP, outcomes);
}

/** What is marked can be dropped later in the same job, which then replaces the mark. */
const STEP = 'gone';
