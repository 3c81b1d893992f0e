import { ApplicationFailure, makeContinueAsNewFunc } from '@temporalio/workflow';
import type { Destination, JobClaim } from '../contract/activities.ts';
import { CLAIM_LOST } from '../contract/claim.ts';
import type { ReconcileRequest } from '../contract/job.ts';
import { type ClaimedConnector, claimConnector } from './claim-connector.ts';
import { Controls } from './controls.ts';
import { failedWith } from './failure-cause.ts';
import { Gate } from './gate.ts';
import type { Job } from './job/job.ts';
import { recordJob } from './job/record-job.ts';
import { type CarriedRun, isNarrowed, newPlace, type Reconcile, type Run } from './run.ts';
import { Wakeups } from './wakeups.ts';

/** A run stays with the worker version that began it; the next one moves to the current version, if workers have versions. */
const continueAsNew = makeContinueAsNewFunc<Reconcile>({ initialVersioningBehavior: 'AUTO_UPGRADE' });

/** Resolves the connector, claims it for this run of the workflow, and ensures its destination. */
export async function beginRun(request: ReconcileRequest, job: Job, carried?: CarriedRun): Promise<Run> {
  const controls = new Controls(carried?.controls);
  const wakeups = new Wakeups();
  controls.onChange = () => wakeups.wake();
  const place = carried?.place ?? newPlace();
  let destination = carried?.destination;

  const continueInNextRun = (): Promise<never> =>
    continueAsNew(request, {
      ...{ job: job.carry(), destination, place },
      ...{ controls: controls.carry(), gate: gate.carry() },
    });
  const claim = () => {
    const hasDestination = destination !== undefined;
    // A claim that is lost later means that the job was reset.
    const continued = carried !== undefined && job.claim === undefined;
    return claimConnector(job, request, { wakeups, hasDestination, continued });
  };
  const gate = new Gate({
    ...{ job, wakeups, carried: carried?.gate },
    isHeld: () => controls.isPaused,
    reclaim: () => run.reclaim(),
    continueAsNew: continueInNextRun,
  });

  const claimed = (await claim()) ?? (await continueInNextRun());
  if (destination) requireSameCatalog(claimed, destination);
  else destination = { ...(claimed.destination as Destination), unverifiedSinceMs: claimed.unverifiedSinceMs };
  job.unverifiedSinceMs = destination.unverifiedSinceMs;
  const { before } = destination;
  if (!carried?.destination && before.tables > 0 && !isNarrowed(request)) job.count({ tablesExpected: before.tables });

  const run: Run = {
    ...{ request, job, controls, gate, destination, place, connector: claimed.connector },
    get claim(): JobClaim {
      return job.claim as JobClaim;
    },
    async reclaim() {
      const claimed = (await claim()) ?? (await continueInNextRun());
      requireSameCatalog(claimed, run.destination);
      run.connector = claimed.connector;
    },
    async reclaimForEnd() {
      return (await claim()) !== undefined;
    },
    async continueAsNew() {
      // The next run claims again, whatever has become of the claim, and then records what is not recorded yet.
      await recordJob(job).catch((error) => {
        if (!failedWith(error, CLAIM_LOST)) throw error;
      });
      return continueInNextRun();
    },
  };
  return run;
}

/**
 * A job that goes on after a restore would leave out what it had stored before: that is lost, and so may be the catalogs and namespaces to
 * which it writes.
 */
function requireSameCatalog({ unverifiedSinceMs }: ClaimedConnector, begun: Destination): void {
  if (unverifiedSinceMs === undefined || unverifiedSinceMs === begun.unverifiedSinceMs) return;
  throw ApplicationFailure.nonRetryable(
    `The catalog was restored from a backup (${new Date(unverifiedSinceMs).toISOString()}) after this job began, so what it had ingested is lost. The next job reads everything again.`,
    'ABORTED',
  );
}
