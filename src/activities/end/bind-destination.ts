import type { ActivityDeps } from '../runtime/deps.ts';

/**
 * Writes the destination's resolved ids back to the connector, if it does not have them yet. If the connector names another destination by
 * now, the next job binds that one.
 */
export async function bindDestination(
  deps: ActivityDeps,
  input: { connectorId: string; catalogId: string; namespaceId: string },
): Promise<void> {
  const { connectorId, catalogId, namespaceId } = input;
  const { destination } = await deps.catalog.connectors.getConnector({
    by: { $case: 'connectorId', value: connectorId },
  });
  if (destination?.catalogId === catalogId && destination.namespaceId === namespaceId) return;
  // Creates nothing. If the catalog or the namespace does not exist, the response has a new id for it, which differs from the job's.
  const current = await deps.catalog.reconciliation.ensureDestination({ connectorId, validateOnly: true });
  if (current.catalogId !== catalogId || current.namespaceId !== namespaceId) return;
  await deps.catalog.reconciliation.bindDestination({
    connectorId,
    destination: { ...destination, catalogId, namespaceId },
  });
}
