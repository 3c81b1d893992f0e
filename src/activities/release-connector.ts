import type { ActivityDeps } from './runtime/deps.ts';

/** Releases the connector, if the job holds it. */
export async function releaseConnector(
  deps: ActivityDeps,
  input: { connectorId: string; jobId: string },
): Promise<void> {
  await deps.catalog.reconciliation.releaseConnector(input);
}
