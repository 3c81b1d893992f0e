import type { ActivityDeps } from './runtime/deps.ts';

/** Gives the connector back, if the job has it. */
export async function releaseConnector(
  deps: ActivityDeps,
  input: { connectorId: string; jobId: string },
): Promise<void> {
  await deps.catalog.reconciliation.releaseConnector(input);
}
