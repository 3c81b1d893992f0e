import { CancellationScope } from '@temporalio/workflow';
import { control } from '../activity-proxies.ts';
import type { Job } from './job.ts';
import { setOutcomeAttribute } from './open-job.ts';
import { raiseAlert } from './raise-alert.ts';

/** Writes the job's last record, raises its alert and releases the connector, also if the job was cancelled. */
export async function endJob(job: Job): Promise<void> {
  const { connector } = job;
  setOutcomeAttribute(job);
  await CancellationScope.nonCancellable(async () => {
    try {
      await recordJob(job);
      if (connector?.alerts) await raiseAlert(job.id, connector);
    } finally {
      if (connector) await control.releaseConnector({ connectorId: connector.connectorId, jobId: job.id });
    }
  });
}

/** Writes the job's record with all failures that were not written yet. */
export async function recordJob(job: Job): Promise<void> {
  do {
    const record = job.record();
    await control.recordJob(record);
    job.recorded(record);
  } while (job.hasUnrecordedFailures);
}
