import { activityInfo } from '@temporalio/activity';
import { withClaim } from '../catalog-client/claim.ts';
import type { ControlActivities, IngestActivities, JobClaim, ScanActivities } from '../contract/activities.ts';
import { beginJob } from './begin-job.ts';
import { deliverAlert } from './deliver-alert.ts';
import { dropGone } from './drop-gone.ts';
import { endJob } from './end-job.ts';
import { ingestFileGroup } from './ingest-file-group.ts';
import { ingestTable } from './ingest-table.ts';
import { ingestTables } from './ingest-tables.ts';
import { isPaused } from './is-paused.ts';
import { withRequest } from './options/recorded-request.ts';
import { reconcileMissing } from './reconcile-missing.ts';
import { reconcileViews } from './reconcile-views.ts';
import { recordJob } from './record-job.ts';
import type { ActivityDeps } from './runtime/deps.ts';
import { CONTROL_ATTEMPTS, toFailure, UPSTREAM_ATTEMPTS } from './runtime/failures.ts';
import { observeFailure } from './runtime/observe-failure.ts';
import { inWorker } from './runtime/worker-context.ts';
import { scanTables } from './scan-tables.ts';
import { validateConnector } from './validate-connector.ts';

/** Short steps against the catalog, served from the queue `reconciler`. */
export function createControlActivities(deps: ActivityDeps): ControlActivities {
  return {
    beginJob: bound(deps, beginJob, CONTROL_ATTEMPTS),
    recordJob: bound(deps, recordJob, CONTROL_ATTEMPTS),
    isPaused: bound(deps, isPaused, CONTROL_ATTEMPTS),
    endJob: bound(deps, endJob, CONTROL_ATTEMPTS),
  };
}

/** Short steps that reach upstreams and webhooks, served from the queue `reconciler-scan`. */
export function createScanActivities(deps: ActivityDeps): ScanActivities {
  return {
    scanTables: bound(deps, scanTables, UPSTREAM_ATTEMPTS),
    reconcileViews: bound(deps, reconcileViews, UPSTREAM_ATTEMPTS),
    reconcileMissing: bound(deps, reconcileMissing, UPSTREAM_ATTEMPTS),
    dropGone: bound(deps, dropGone, UPSTREAM_ATTEMPTS),
    validateConnector: bound(deps, validateConnector, UPSTREAM_ATTEMPTS),
    // The retry policy limits how long the receiver is waited for.
    deliverAlert: bound(deps, deliverAlert, Number.POSITIVE_INFINITY),
  };
}

/** Steps that may take long, served from the queue `reconciler-ingest`. */
export function createIngestActivities(deps: ActivityDeps): IngestActivities {
  return {
    ingestTable: bound(deps, ingestTable, UPSTREAM_ATTEMPTS),
    ingestFileGroup: bound(deps, ingestFileGroup, UPSTREAM_ATTEMPTS),
    ingestTables: bound(deps, ingestTables, UPSTREAM_ATTEMPTS),
  };
}

/**
 * The step with its dependencies, with the claim of its job on every call to the catalog, and with its errors as failures that state whether a
 * retry can succeed.
 */
function bound<I, O>(deps: ActivityDeps, step: (deps: ActivityDeps, input: I) => Promise<O>, attempts: number) {
  return (input: I): Promise<O> => inWorker(deps, () => withClaimOf(input, () => run(input)));

  async function run(input: I): Promise<O> {
    try {
      return await step(deps, await withRequest(deps, input));
    } catch (error) {
      const { activityType, attempt } = activityInfo();
      const failure = toFailure(error, attempt, attempts);
      observeFailure(deps.logger, activityType, failure);
      throw failure;
    }
  }
}

/** Without a claim, what the step writes is not checked: the job has none yet, or the step belongs to no job. */
function withClaimOf<T>(input: unknown, work: () => T): T {
  const { connectorId, epoch } = (input ?? {}) as Partial<JobClaim>;
  if (connectorId === undefined || epoch === undefined) return work();
  const { runId = '' } = activityInfo().workflowExecution ?? {};
  return withClaim({ connectorId, epoch, runId }, work);
}
