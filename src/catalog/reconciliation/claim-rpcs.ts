import { isEnded } from '../../contract/progress-message.ts';
import {
  AlertType,
  type ClaimConnectorRequest,
  type ReconciliationServiceImplementation,
} from '../../generated/reconciler/internal/v1/reconciliation.ts';
import { JobState, type ReconcileJob } from '../../generated/reconciler/v1/jobs.ts';
import { refuseDeleting } from '../connectors/delete-connector.ts';
import type { ServiceDeps } from '../core/ports.ts';
import { createJobStatus } from '../jobs/job-status.ts';
import { sanitizeRecord } from '../jobs/sanitize-record.ts';
import { wakeNext } from '../jobs/wake.ts';
import { Checks, invalid, required } from '../rpc/violations.ts';
import { countBeforeJob } from '../store/bindings/missing-share.ts';
import { evaluateAlert } from '../store/connectors/alerts.ts';
import { releaseClaim, takeClaim } from '../store/connectors/claims.ts';
import { getConnector } from '../store/connectors/connectors.ts';
import { markVerified, unverifiedSinceOf } from '../store/connectors/verification.ts';
import { isWholeRun } from '../store/connectors/whole-run.ts';
import {
  ClaimLost,
  currentClaim,
  requireClaim,
  requireClaimOfJob,
  requireClaimOn,
  underClaim,
} from '../store/database/claim-fence.ts';
import type { Scoped } from '../store/database/scoped.ts';
import { write } from '../store/database/transaction.ts';
import { insertRun, isKnownRun, latestRun } from '../store/jobs/job-runs.ts';
import { findJob, putFailures, putJob } from '../store/jobs/jobs.ts';
import { taskQueueOfTenant } from '../store/tenants/tenants.ts';
import { checkRecord } from './check-record.ts';

const ALERT_TYPES = {
  '': AlertType.ALERT_TYPE_UNSPECIFIED,
  'job.failed': AlertType.ALERT_TYPE_JOB_FAILED,
  'job.recovered': AlertType.ALERT_TYPE_JOB_RECOVERED,
};

type ClaimRpcs = Pick<ReconciliationServiceImplementation, 'claimConnector' | 'endJob'>;

/** The RPCs of the service Reconciliation with which a job takes the claim on its connector and, at its end, returns it. */
export function createClaimRpcs(deps: ServiceDeps): ClaimRpcs {
  const { db } = deps;
  const { refresh } = createJobStatus(deps, () => false);
  return {
    // A job that claims does not have the claim yet, or has that of an earlier run.
    claimConnector: (received) => underClaim(undefined, () => claim(received)),

    async endJob(received) {
      const { job: record, failures } = sanitizeRecord(received);
      const job = required(record, 'job');
      checkRecord(job, failures);
      if (!isEnded(job.state)) throw invalid('job.state', 'is not a state in which a job has ended');
      const connectorId = received.connectorId || job.connectorId;
      const claim = currentClaim();
      // A job ends for its own connector only. One that was not told of its claim proves nothing about a connector either.
      if (connectorId && (claim || received.verifiedSince)) requireClaimOn(connectorId);
      const { before, after, alert } = await underClaim(undefined, () =>
        write(db, async (trx) => {
          const before = await findJob(trx, job.jobId);
          const isRepeated =
            before !== undefined && isEnded(before.state) && (await isLatestRun(trx, job, claim?.runId));
          if (!claim) await refuseFormerRun(trx, job, received.runId);
          // The first call released the claim, so a repeated one cannot have it.
          if (!isRepeated) {
            if (claim) await requireClaim(trx, claim);
            await underClaim(claim, () => requireClaimOfJob(trx, job.jobId, received.runId || job.runId));
          }
          const after = isRepeated ? before : await putJob(trx, { ...job, connectorId });
          await putFailures(trx, job.jobId, failures);
          await releaseClaim(trx, job.jobId, connectorId || undefined);
          if (received.verifiedSince && isWholeRun(after)) {
            await markVerified(trx, connectorId, received.verifiedSince.getTime());
          }
          return { before, after, alert: await evaluateAlert(trx, after) };
        }),
      );
      deps.observeJob(before, after, failures);
      wakeNext(deps, connectorId);
      return { type: ALERT_TYPES[alert?.type ?? ''], failedJobId: alert?.failedJobId ?? '' };
    },
  };

  async function claim(request: ClaimConnectorRequest) {
    const { job: given, connectorId, runId, deadHolderJobId, continued } = checkedClaim(request);
    const { jobId } = given;
    const dead = deadHolderJobId !== jobId && (await hasEnded(deadHolderJobId)) ? deadHolderJobId : '';
    const excess = await deps.limits.excess('runningJobs');
    const { before, after, claimed } = await write(db, async (trx) => {
      const connector = await getConnector(trx, connectorId);
      if (connector.runningJobId !== jobId) refuseDeleting(connector);
      if (dead !== '') await releaseClaim(trx, dead, connectorId);
      const before = await findJob(trx, jobId);
      const anew = await enterRun(trx, before, jobId, runId, continued);
      const claimed = await takeClaim(trx, { connectorId, jobId, runId });
      const isHeld = claimed.holderJobId === jobId;
      // A job beyond the limit keeps its place in no queue: it claims again after some seconds.
      if (isHeld && excess && before?.state !== JobState.JS_RUNNING) throw excess;
      if (isHeld) await countBeforeJob(trx, connectorId, jobId);
      const state = isHeld ? JobState.JS_RUNNING : JobState.JS_QUEUED;
      const unverifiedSince = isHeld ? await unverifiedSinceOf(trx, connectorId) : undefined;
      // A job that has begun before goes on as it began.
      const full = given.full || (unverifiedSince !== undefined && given.startedAt === undefined);
      const after = await putJob(trx, { ...given, connectorId, state, full }, { anew });
      const taskQueue = isHeld ? await taskQueueOfTenant(trx) : undefined;
      return { before, after, claimed: { ...claimed, unverifiedSince, taskQueue } };
    });
    deps.observeJob(before, after);
    // Without the dead job, another one may be next.
    if (dead !== '') wakeNext(deps, connectorId);
    const { holderJobId, epoch, unverifiedSince, taskQueue } = claimed;
    return {
      holderJobId,
      epoch: BigInt(epoch),
      unverifiedSince: unverifiedSince === undefined ? undefined : new Date(unverifiedSince),
      taskQueue,
    };
  }

  /**
   * Whether a job that the caller found dead is dead. Its record is ended first, so that alerts keep the order of the jobs. A job without a
   * record needs no end.
   */
  async function hasEnded(jobId: string): Promise<boolean> {
    if (jobId === '') return false;
    const refreshed = await refresh(jobId).catch(() => undefined);
    if (!refreshed || isEnded(refreshed.job.state)) return true;
    // If Temporal has a status and the job has not ended, its workflow was reset after the caller looked.
    return refreshed.workflowStatus === undefined;
  }
}

/**
 * Makes the run that claims the latest one of its job.
 *
 * @param before the job's record, if there is one
 * @param continued the run continues the one before it
 * @returns whether the job was reset and so runs again: its record starts anew
 * @throws ClaimLost if the job has ended and was not reset, was cancelled before it was started, or if a later run of it has claimed
 */
async function enterRun(
  trx: Scoped,
  before: ReconcileJob | undefined,
  jobId: string,
  runId: string,
  continued: boolean,
): Promise<boolean> {
  const latest = await latestRun(trx, jobId);
  const hasOtherRun = latest !== undefined && latest !== runId;
  const isKnown = before?.runId === runId || (await isKnownRun(trx, jobId, runId));
  if (hasOtherRun && isKnown) {
    throw new ClaimLost(`A later run of job ${jobId} has claimed the connector: this run may no longer claim it.`);
  }
  const ended = before !== undefined && isEnded(before.state);
  if (ended && isKnown) throw new ClaimLost(`Job ${jobId} has ended: its run may no longer claim the connector.`);
  if (before?.state === JobState.JS_CANCELLED && before.runId === '' && latest === undefined) {
    throw new ClaimLost(`Job ${jobId} was cancelled before it was started: it may not claim the connector.`);
  }
  if (latest !== runId) await insertRun(trx, jobId, runId);
  return ended || (hasOtherRun && !continued);
}

/** A run that has not claimed ends its job only if no later run of the job has: it may have been frozen while the job was reset. */
async function refuseFormerRun(trx: Scoped, { jobId }: ReconcileJob, runId: string): Promise<void> {
  if (runId === '') return;
  const latest = await latestRun(trx, jobId);
  if (latest === undefined || latest === runId) return;
  throw new ClaimLost(`A later run of job ${jobId} has claimed the connector: this run may no longer end the job.`);
}

/** Whether the run is the job's latest; also if the caller names none. */
async function isLatestRun(trx: Scoped, { jobId }: ReconcileJob, runId: string | undefined): Promise<boolean> {
  return runId === undefined || (await latestRun(trx, jobId)) === runId;
}

function checkedClaim(request: ClaimConnectorRequest): ClaimConnectorRequest & { job: ReconcileJob } {
  const { job: record } = sanitizeRecord({ job: request.job, failures: [] });
  const job = required(record, 'job');
  checkRecord(job);
  const checks = new Checks();
  checks.id(request.connectorId, 'connector_id');
  // It becomes part of the metadata of the job's calls.
  checks.that(
    /^[!-~]{1,200}$/.test(request.runId),
    'run_id',
    'must be 1 to 200 printable ASCII characters without spaces',
  );
  checks.done();
  return { ...request, job };
}
