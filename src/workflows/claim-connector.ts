import { ApplicationFailure } from '@temporalio/workflow';
import type { Destination, ResolvedConnector } from '../contract/activities.ts';
import type { ReconcileRequest } from '../contract/job.ts';
import { control } from './activity-proxies.ts';
import type { Job } from './job/job.ts';
import { labelJob } from './job/open-job.ts';
import type { Wakeups } from './wakeups.ts';

/** A job that has its connector. */
export interface ClaimedConnector {
  connector: ResolvedConnector;
  epoch: number;
  unverifiedSinceMs?: number;
  /** Absent if the job had one before. */
  destination?: Destination;
}

/**
 * Resolves the connector and claims it for this run, with its destination. Waits as JS_QUEUED while another job is ahead: first come, first
 * served.
 *
 * @returns undefined if the job should continue as new and go on waiting there
 */
export async function claimConnector(
  job: Job,
  request: ReconcileRequest,
  { wakeups, hasDestination, continued }: { wakeups: Wakeups; hasDestination: boolean; continued: boolean },
): Promise<ClaimedConnector | undefined> {
  let claimed: ClaimedConnector | undefined;
  const isClaimed = async () => {
    const record = { ...job.record(), failures: [] };
    const { beginJob } = control(`claims connector ${job.connectorName}`);
    const { connector, epoch, unverifiedSinceMs, waitsFor, destination, failure } = await beginJob({
      record,
      request,
      hasDestination,
      continued,
    });
    job.connector = connector;
    if (waitsFor) job.queue(`waiting for job ${waitsFor}, which has the connector or came first`, waitsFor);
    labelJob(job);
    if (epoch === undefined) return false;
    job.claim = { connectorId: connector.connectorId, epoch };
    if (failure) throw ApplicationFailure.nonRetryable(failure.message, failure.code);
    claimed = { connector, epoch, unverifiedSinceMs, destination };
    return true;
  };
  await wakeups.until(isClaimed);
  if (claimed) job.start();
  return claimed;
}
