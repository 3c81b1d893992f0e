import { CodedError } from '../../../errors.ts';
import type { ReconcileJob } from '../../../generated/reconciler/v1/jobs.ts';
import { shellWord } from '../../../text.ts';
import type { Scoped } from '../database/scoped.ts';

/** @throws CodedError NOT_FOUND if what the job reports of each table was removed, or is being removed */
export async function requireReport(db: Scoped, { jobId, connectorName, dryRun }: ReconcileJob): Promise<void> {
  const row = await db
    .selectFrom('jobs')
    .select('report')
    .where('tenant_id', '=', db.tenant)
    .where('job_id', '=', jobId)
    .executeTakeFirst();
  if (!row || row.report === 0) return;
  const what = dryRun ? `the changes of dry run ${jobId} were` : `the report of job ${jobId} was`;
  const removed = `${what} removed some time after it had ended (RECONCILER_RETENTION_REPORTS)`;
  const again = `reconciler connector trigger ${shellWord(connectorName)} --dry-run`;
  throw new CodedError('NOT_FOUND', dryRun ? `${removed}; for a new list: ${again}` : removed);
}
