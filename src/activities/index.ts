import { activityInfo } from '@temporalio/activity';
import { bindDestination } from './bind-destination.ts';
import { claimConnector } from './claim-connector.ts';
import type { ActivityDeps } from './deps.ts';
import { ensureDestination } from './ensure-destination.ts';
import { toFailure } from './failures.ts';
import { ingestTable } from './ingest-table.ts';
import { ingestTables } from './ingest-tables.ts';
import { reconcileMissing } from './reconcile-missing.ts';
import { recordJob } from './record-job.ts';
import { releaseConnector } from './release-connector.ts';
import { resolveConnector } from './resolve-connector.ts';
import { scanTables } from './scan-tables.ts';
import { validateConnector } from './validate-connector.ts';

/** Short steps, served from the queue `reconciler`. */
export function createControlActivities(deps: ActivityDeps) {
  return {
    resolveConnector: bound(deps, resolveConnector),
    claimConnector: bound(deps, claimConnector),
    ensureDestination: bound(deps, ensureDestination),
    bindDestination: bound(deps, bindDestination),
    recordJob: bound(deps, recordJob),
    releaseConnector: bound(deps, releaseConnector),
  };
}

/** What reads upstreams, served from the queue `reconciler-ingest`. */
export function createIngestActivities(deps: ActivityDeps) {
  return {
    scanTables: bound(deps, scanTables),
    ingestTable: bound(deps, ingestTable),
    ingestTables: bound(deps, ingestTables),
    reconcileMissing: bound(deps, reconcileMissing),
    validateConnector: bound(deps, validateConnector),
  };
}

export type ControlActivities = ReturnType<typeof createControlActivities>;
export type IngestActivities = ReturnType<typeof createIngestActivities>;

/** The step with its dependencies, and with its errors as failures that say whether a retry is worth it. */
function bound<I, O>(deps: ActivityDeps, step: (deps: ActivityDeps, input: I) => Promise<O>) {
  return async (input: I): Promise<O> => {
    try {
      return await step(deps, input);
    } catch (error) {
      const { activityType, attempt, workflowExecution } = activityInfo();
      deps.logger.debug(
        { err: error, activity: activityType, attempt, job: workflowExecution?.workflowId },
        'activity failed',
      );
      throw toFailure(error, attempt);
    }
  };
}
