import { CancellationScope } from '@temporalio/workflow';
import type { EndInput } from '../../contract/activities.ts';
import { CLAIM_LOST } from '../../contract/claim.ts';
import { control } from '../activity-proxies.ts';
import { failedWith } from '../failure-cause.ts';
import type { Run } from '../run.ts';
import { isRequest } from '../validate-request.ts';
import type { FinalState, Job } from './job.ts';
import { setOutcomeAttribute } from './open-job.ts';
import { raiseAlert } from './raise-alert.ts';

/**
 * Ends the job, also if it was cancelled: binds the connector to its destination, writes the last record, releases the connector, and raises
 * the alert that is due.
 *
 * @param run absent if the job failed before it had its connector
 */
export async function endJob(job: Job, { run, bind }: { run?: Run; bind?: EndInput['bind'] }): Promise<void> {
  setOutcomeAttribute(job);
  const { state } = job.progress;
  await CancellationScope.nonCancellable(async () => {
    for (;;) {
      try {
        return await recordEnd(job, bind);
      } catch (error) {
        if (!run || !failedWith(error, CLAIM_LOST)) throw error;
        // The job was reset to its very end.
        const isClaimed = await run.reclaimForEnd();
        job.finish(state as FinalState);
        // The catalog records the end of a workflow that has not done it itself.
        if (!isClaimed) return;
      }
    }
  });
}

async function recordEnd(job: Job, bind: EndInput['bind']): Promise<void> {
  const { claim, connector, request } = job;
  while (job.hasMoreFailures) await recordMoreFailures(job);
  // The request is recorded with the claim.
  const begun = claim ?? (isRequest(request) ? { request } : {});
  const { endJob } = control('records the end, and releases the connector');
  const { alert } = await endJob({ ...begun, record: job.record(), bind });
  if (alert && connector) await raiseAlert(job.id, connector, alert);
}

/** As those of a running job: its end, its failures and its release belong together. */
async function recordMoreFailures(job: Job): Promise<void> {
  const record = job.record();
  const progress = { ...record.progress, state: 'JS_RUNNING' as const };
  const running = { ...record, progress, finishedAtMs: undefined };
  await control('records failures').recordJob({ ...job.claim, record: running });
  job.recorded(record);
}
