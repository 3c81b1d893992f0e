import type { ReconcileRequest } from '../contract/job.ts';

const MAX_SCOPE_LENGTH = 300;

/** Why a run found no table and no view, and what to check. */
export function nothingFound({ scope, mode, retryOf }: ReconcileRequest, filtered: number): string {
  if (retryOf) return `The connector no longer includes anything that failed in job ${retryOf}.`;
  if (scope) return `No table of the connector is in the scope ${JSON.stringify(scope).slice(0, MAX_SCOPE_LENGTH)}.`;
  if (filtered === 0)
    return 'No table found. Check the URI and the source namespace; if all tables were removed on purpose, trigger it with --allow-missing.';
  return mode === 'CAPTURE_ONLY'
    ? `The catalog has none of the ${filtered} upstream tables. Run another mode first: CAPTURE_ONLY only captures files of tables that the catalog has.`
    : `The connector's patterns include none of the ${filtered} upstream tables. Check its include and exclude patterns.`;
}
