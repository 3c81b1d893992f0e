import { setTimeout as sleep } from 'node:timers/promises';
import { JobTrigger } from '../../src/generated/reconciler/v1/jobs.ts';
import type { SyntheticStack } from '../../test/synthetic/synthetic-stack.ts';

/** Short, because the benchmark waits for it; long enough that there is one run only. */
const INTERVAL_SECONDS = 10n;

/** Puts a connector on a schedule until it has started one job. @returns the job's id */
export async function scheduledJob({ catalog }: SyntheticStack, connectorId: string): Promise<string> {
  await setPolicy({ enabled: true, interval: { seconds: INTERVAL_SECONDS } });
  for (;;) {
    const { jobs } = await catalog.jobs.listReconcileJobs({ connectorId });
    const job = jobs.find(({ trigger }) => trigger === JobTrigger.JOB_TRIGGER_SCHEDULE);
    if (job) {
      await setPolicy({ enabled: false });
      return job.jobId;
    }
    await sleep(100);
  }

  async function setPolicy(policy: { enabled: boolean; interval?: { seconds: bigint } }): Promise<void> {
    const updateMask = Object.keys(policy).map((field) => `policy.${field}`);
    await catalog.connectors.updateConnector({ connector: { connectorId, policy }, updateMask });
  }
}
