import { activityInfo } from '@temporalio/activity';
import type { ControlActivities, IngestActivities } from '../contract/activities.ts';
import { awaitActive } from './await-active.ts';
import { bindDestination } from './bind-destination.ts';
import { claimConnector } from './claim-connector.ts';
import { deliverAlert } from './deliver-alert.ts';
import { dropGone } from './drop-gone.ts';
import { ensureDestination } from './ensure-destination.ts';
import { ingestFileGroup } from './ingest-file-group.ts';
import { ingestTable } from './ingest-table.ts';
import { ingestTables } from './ingest-tables.ts';
import { reconcileMissing } from './reconcile-missing.ts';
import { reconcileViews } from './reconcile-views.ts';
import { recordJob } from './record-job.ts';
import { releaseConnector } from './release-connector.ts';
import { resolveConnector } from './resolve-connector.ts';
import type { ActivityDeps } from './runtime/deps.ts';
import { CONTROL_ATTEMPTS, toFailure, UPSTREAM_ATTEMPTS } from './runtime/failures.ts';
import { observeFailure } from './runtime/observe-failure.ts';
import { scanTables } from './scan-tables.ts';
import { takeAlert } from './take-alert.ts';
import { validateConnector } from './validate-connector.ts';

/** Short steps, served from the queue `reconciler`. */
export function createControlActivities(deps: ActivityDeps): ControlActivities {
  return {
    resolveConnector: bound(deps, resolveConnector, CONTROL_ATTEMPTS),
    // While another job holds the connector, or it is paused, the number of attempts means nothing.
    claimConnector: bound(deps, claimConnector, Number.POSITIVE_INFINITY),
    awaitActive: bound(deps, awaitActive, Number.POSITIVE_INFINITY),
    ensureDestination: bound(deps, ensureDestination, CONTROL_ATTEMPTS),
    bindDestination: bound(deps, bindDestination, CONTROL_ATTEMPTS),
    recordJob: bound(deps, recordJob, CONTROL_ATTEMPTS),
    takeAlert: bound(deps, takeAlert, CONTROL_ATTEMPTS),
    releaseConnector: bound(deps, releaseConnector, CONTROL_ATTEMPTS),
  };
}

/** Steps that reach upstreams and webhooks, served from the queue `reconciler-ingest`. */
export function createIngestActivities(deps: ActivityDeps): IngestActivities {
  return {
    scanTables: bound(deps, scanTables, UPSTREAM_ATTEMPTS),
    ingestTable: bound(deps, ingestTable, UPSTREAM_ATTEMPTS),
    ingestFileGroup: bound(deps, ingestFileGroup, UPSTREAM_ATTEMPTS),
    ingestTables: bound(deps, ingestTables, UPSTREAM_ATTEMPTS),
    reconcileViews: bound(deps, reconcileViews, UPSTREAM_ATTEMPTS),
    dropGone: bound(deps, dropGone, UPSTREAM_ATTEMPTS),
    reconcileMissing: bound(deps, reconcileMissing, UPSTREAM_ATTEMPTS),
    validateConnector: bound(deps, validateConnector, UPSTREAM_ATTEMPTS),
    // The retry policy limits how long the receiver is waited for.
    deliverAlert: bound(deps, deliverAlert, Number.POSITIVE_INFINITY),
  };
}

/** The step with its dependencies, and with its errors as failures that state whether a retry can succeed. */
function bound<I, O>(deps: ActivityDeps, step: (deps: ActivityDeps, input: I) => Promise<O>, attempts: number) {
  return async (input: I): Promise<O> => {
    try {
      return await step(deps, input);
    } catch (error) {
      const { activityType, attempt } = activityInfo();
      const failure = toFailure(error, attempt, attempts);
      observeFailure(deps.logger, activityType, failure);
      throw failure;
    }
  };
}
