import {
  ApplicationFailure,
  CancellationScope,
  CancelledFailure,
  ContinueAsNew,
  isCancellation,
} from '@temporalio/workflow';
import type { ResolvedConnector } from '../contract/activities.ts';
import type { Progress, ReconcileRequest } from '../contract/job.ts';
import { control, waitFor } from './activity-proxies.ts';
import { endJob, recordJob } from './job/end-job.ts';
import type { Job } from './job/job.ts';
import { openJob, setConnectorAttributes } from './job/open-job.ts';
import { nothingFound } from './nothing-found.ts';
import { PauseGate } from './pause-gate.ts';
import { dropGone, reconcileMissing } from './reconcile-missing.ts';
import { reconcileTables } from './reconcile-tables.ts';
import { reconcileViews } from './reconcile-views.ts';
import { type CarriedRun, isNarrowed } from './run.ts';
import { validateRequest } from './validate-request.ts';

/**
 * Reconciles one connector: brings what changed upstream into the catalog. The workflow id is the job id.
 *
 * Fails if any table failed ('Partial failure (n): …'); what succeeded stays.
 */
export async function reconcile(request: ReconcileRequest, carried?: CarriedRun): Promise<Progress> {
  validateRequest(request);
  const job = openJob(request, carried?.job);
  let failure: Error | undefined;
  try {
    const connector = job.connector ?? (await claimConnector(job));
    const run = { request, connector, job, gate: new PauseGate(job) };
    const { connectorId } = connector;
    const { dryRun } = request;

    const destination = carried?.destination ?? (await control.ensureDestination({ connectorId, dryRun }));
    const { catalogId, namespaceId, before } = destination;
    if (before.tables > 0 && !isNarrowed(request)) job.progress.counters.tablesExpected = before.tables;

    const { hasViews, listed } = await reconcileTables(run, destination, carried);
    const viewsListed = hasViews && (await reconcileViews(run));
    requireFinds(job);

    if (!isNarrowed(request)) {
      await reconcileMissing(run, { before, listed, viewsListed });
      if (connector.drops) await dropGone(run, { viewsListed });
    }
    if (!dryRun) await control.bindDestination({ connectorId, catalogId, namespaceId });
    failure = finish(job);
  } catch (error) {
    if (error instanceof ContinueAsNew) throw error;
    failure = abort(job, error);
  }
  await endJob(job);
  if (failure) throw failure;
  return job.progress;
}

/** Resolves the connector and claims it, waiting as JS_QUEUED while another job has it. */
async function claimConnector(job: Job): Promise<ResolvedConnector> {
  const connector = await control.resolveConnector(job.request);
  job.connector = connector;
  setConnectorAttributes(connector, job.request);
  job.enterPhase('waiting for the connector');
  await recordJob(job);
  await waitFor.claimConnector({ connectorId: connector.connectorId, jobId: job.id });
  job.start();
  return connector;
}

/** A run that found nothing must not look successful: usually a setting is wrong. */
function requireFinds({ request, progress }: Job): void {
  const { tablesScanned, viewsScanned, tablesFiltered = 0, errors } = progress.counters;
  if (tablesScanned || viewsScanned || errors || request.allowMissing) return;
  throw ApplicationFailure.nonRetryable(nothingFound(request, tablesFiltered), 'NOT_FOUND');
}

/** @returns what the workflow fails with; undefined if nothing failed */
function finish(job: Job): ApplicationFailure | undefined {
  const failed = Boolean(job.progress.counters.errors);
  job.finish(failed ? 'JS_FAILED' : 'JS_SUCCEEDED');
  return failed ? ApplicationFailure.nonRetryable(job.message, 'PARTIAL_FAILURE') : undefined;
}

/** @returns what the workflow ends with after an error that is no single table's or view's */
function abort(job: Job, error: unknown): Error {
  if (isCancellation(error)) {
    job.finish('JS_CANCELLED');
    return error as Error;
  }
  // After a cancel a step may fail for another reason, for example because its connector is being deleted.
  if (CancellationScope.current().consideredCancelled) {
    job.finish('JS_CANCELLED');
    return new CancelledFailure(job.message);
  }
  job.fail('', error);
  job.finish('JS_FAILED');
  return ApplicationFailure.nonRetryable(job.message, 'RECONCILE_FAILED');
}
