import type { Counters, ReconcileRequest } from '../contract/job.ts';
import { plurals } from '../text.ts';

const MAX_SCOPE_LENGTH = 300;

/** Why a run found no table and no view, and what to check. */
export function nothingFound(
  { scope, mode, retryOf }: ReconcileRequest,
  { tablesFiltered = 0, namespacesFiltered = 0 }: Counters,
): string {
  if (retryOf) return `The connector no longer includes anything that failed in job ${retryOf}.`;
  if (scope) return `No table of the connector is in the scope ${JSON.stringify(scope).slice(0, MAX_SCOPE_LENGTH)}.`;
  if (tablesFiltered === 0 && namespacesFiltered === 0)
    return 'No table found. Check the URI and the source namespace; if all tables were removed on purpose, trigger it with --allow-missing.';
  return mode === 'CAPTURE_ONLY' && tablesFiltered > 0
    ? `The catalog has none of the ${tablesFiltered} upstream tables. Run another mode first: CAPTURE_ONLY only captures files of tables that the catalog has.`
    : `The connector's patterns include no table: they leave out ${plurals([tablesFiltered, 'table'], [namespacesFiltered, 'namespace'])}. Check its include and exclude patterns; tables of kinds that are not ingested count as left out too.`;
}
