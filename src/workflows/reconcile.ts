import {
  ApplicationFailure,
  CancellationScope,
  CancelledFailure,
  ContinueAsNew,
  isCancellation,
} from '@temporalio/workflow';
import type { Destination } from '../contract/activities.ts';
import type { Progress, ReconcileRequest } from '../contract/job.ts';
import { beginRun } from './begin-run.ts';
import { endJob } from './job/end-job.ts';
import type { Job } from './job/job.ts';
import { openJob } from './job/open-job.ts';
import { nothingFound } from './nothing-found.ts';
import { dropGone, reconcileMissing } from './reconcile-missing.ts';
import { reconcileViews } from './reconcile-views.ts';
import { type CarriedRun, isNarrowed, type Run } from './run.ts';
import { reconcileTables } from './tables/reconcile-tables.ts';
import { validateRequest } from './validate-request.ts';

/**
 * Reconciles one connector: brings what changed upstream into the catalog. The workflow id is the job id.
 *
 * Fails if any table failed ('Partial failure (n): …'); what succeeded stays.
 */
export async function reconcile(request: ReconcileRequest, carried?: CarriedRun): Promise<Progress> {
  const job = openJob(request, carried?.job);
  let run: Run | undefined;
  let bind: Destination | undefined;
  let failure: Error | undefined;
  try {
    validateRequest(request);
    run = await beginRun(request, job, carried);
    await reconcileTables(run);
    await reconcileViews(run);
    requireFinds(job);
    if (!isNarrowed(request)) {
      await reconcileMissing(run);
      if (run.connector.drops) await dropGone(run);
    }
    if (!request.dryRun) bind = run.destination;
    failure = finish(job);
  } catch (error) {
    if (error instanceof ContinueAsNew) throw error;
    failure = abort(job, error);
  }
  await endJob(job, { run, bind });
  if (failure) throw failure;
  return job.progress;
}

/** A run that found nothing must not look successful: usually a setting is wrong. */
function requireFinds({ request, counters }: Job): void {
  const { tablesScanned, viewsScanned, errors } = counters;
  if (tablesScanned || viewsScanned || errors || request.allowMissing) return;
  throw ApplicationFailure.nonRetryable(nothingFound(request, counters), 'NOT_FOUND');
}

/** @returns what the workflow fails with; undefined if nothing failed */
function finish(job: Job): ApplicationFailure | undefined {
  const failed = Boolean(job.counters.errors);
  job.finish(failed ? 'JS_FAILED' : 'JS_SUCCEEDED');
  return failed ? ApplicationFailure.nonRetryable(job.message, 'PARTIAL_FAILURE', job.progress) : undefined;
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
  return ApplicationFailure.nonRetryable(job.message, 'RECONCILE_FAILED', job.progress);
}
