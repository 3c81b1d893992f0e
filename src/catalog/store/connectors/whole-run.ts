import type { ExpressionBuilder, ExpressionWrapper, SqlBool } from 'kysely';
import type { ReconcileRequest } from '../../../contract/job.ts';
import type { ReconcileJob } from '../../../generated/reconciler/v1/jobs.ts';
import type { JobRow } from '../database/schema.ts';

/** What makes a run one of a part: of some tables, or of what failed, or with another selection of snapshots or mode than its connector's. */
const PARTIAL = ['scope', 'retryOf', 'snapshots', 'mode'] as const satisfies (keyof ReconcileRequest)[];

/**
 * Whether a job ran its connector as it is configured. Only such a run shows the connector's status: a part may succeed while the rest fails,
 * and fail at what the connector itself does not do.
 */
export function isWholeRun({ dryRun, requestJson }: Pick<ReconcileJob, 'dryRun' | 'requestJson'>): boolean {
  const request: Partial<ReconcileRequest> = requestJson === '' ? {} : JSON.parse(requestJson);
  return !dryRun && PARTIAL.every((key) => request[key] === undefined);
}

type Jobs = ExpressionBuilder<{ j: Pick<JobRow, 'dry_run' | 'request_json'> }, 'j'>;

/** The same as a condition of a query. Keys cannot occur within texts of the JSON, where quotes are escaped. */
export function wholeRuns(eb: Jobs): ExpressionWrapper<{ j: JobRow }, 'j', SqlBool> {
  const conditions = PARTIAL.map((key) => eb('j.request_json', 'not like', `%"${key}":%`));
  return eb.and([eb('j.dry_run', '=', 0), ...conditions]) as never;
}
