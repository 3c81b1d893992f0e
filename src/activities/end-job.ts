import { activityInfo } from '@temporalio/activity';
import { isClaimLost } from '../catalog-client/claim.ts';
import type { EndedJob, EndInput } from '../contract/activities.ts';
import { failureMessage } from '../contract/progress-message.ts';
import { AlertType } from '../generated/reconciler/internal/v1/reconciliation.ts';
import { bindDestination } from './end/bind-destination.ts';
import { toReconcileJob } from './reconcile-job.ts';
import type { ActivityDeps } from './runtime/deps.ts';
import { describeError, isFinal } from './runtime/failures.ts';

/** Binds the connector to its destination, records the end of the job, and releases the connector. All in one activity, since each is billed. */
export async function endJob(deps: ActivityDeps, { record, request, connectorId, bind }: EndInput): Promise<EndedJob> {
  if (bind && connectorId) await bindIfPossible(deps, { connectorId, ...bind });
  const verifiedSinceMs = bind?.unverifiedSinceMs;
  const { type, failedJobId } = await deps.catalog.reconciliation.endJob({
    job: toReconcileJob(record, request),
    failures: record.failures.map(failureMessage),
    connectorId: connectorId ?? '',
    verifiedSince: verifiedSinceMs === undefined ? undefined : new Date(verifiedSinceMs),
    runId: activityInfo().workflowExecution?.runId ?? '',
  });
  if (type === AlertType.ALERT_TYPE_JOB_FAILED) return { alert: { type: 'job.failed' } };
  if (type === AlertType.ALERT_TYPE_JOB_RECOVERED) return { alert: { type: 'job.recovered', failedJobId } };
  return {};
}

/** The next job binds what this one cannot: it must not keep the connector for that. */
async function bindIfPossible(deps: ActivityDeps, binding: Parameters<typeof bindDestination>[1]): Promise<void> {
  try {
    await bindDestination(deps, binding);
  } catch (error) {
    // A repeated call no longer has the claim. Whether this is one, the catalog knows when it ends the job.
    if (isClaimLost(error)) return;
    if (!isFinal(error)) throw error;
    deps.logger.warn(
      { ...binding, reason: describeError(error).message },
      'a connector cannot be bound to its destination',
    );
  }
}
