import type { ActivityDeps } from './runtime/deps.ts';

/** The connector was released together with the record of the job's end: see record-job.ts. */
export async function releaseConnector(
  _deps: ActivityDeps,
  _input: { connectorId: string; jobId: string },
): Promise<void> {}
