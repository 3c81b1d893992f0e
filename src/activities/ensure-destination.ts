import type { ActivityDeps } from './deps.ts';

/**
 * Makes the destination's catalog, and its namespace where the connector names one, and resolves their names to ids.
 * Namespaces that take the source's path are made with the page of tables that needs them.
 *
 * @throws FAILED_PRECONDITION that says what differs, where an id and a name do not agree
 */
export async function ensureDestination(
  deps: ActivityDeps,
  input: { connectorId: string },
): Promise<{ catalogId: string; namespaceId: string }> {
  const { catalogId, namespaceId } = await deps.catalog.reconciliation.ensureDestination({
    connectorId: input.connectorId,
  });
  return { catalogId, namespaceId };
}
