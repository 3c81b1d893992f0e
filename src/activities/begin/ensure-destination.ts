import type { Destination } from '../../contract/activities.ts';
import { openChangeList } from '../dry-run/change-list.ts';
import { newNamespace } from '../dry-run/object-changes.ts';
import { countBindings } from '../missing/bindings.ts';
import type { ActivityDeps } from '../runtime/deps.ts';

/**
 * Resolves the names of the destination's catalog, and of its namespace if the connector names one, to ids; creates what does not exist.
 * Namespaces that take the source's path are created with the first table or view that needs them. A dry run creates nothing, and records
 * what is missing.
 *
 * @throws FAILED_PRECONDITION, stating what differs, if an id and a name do not agree
 */
export async function ensureDestination(
  deps: ActivityDeps,
  input: { connectorId: string; dryRun?: boolean },
): Promise<Destination> {
  const { connectorId } = input;
  const { connectors, reconciliation } = deps.catalog;
  const connector = await connectors.getConnector({ by: { $case: 'connectorId', value: connectorId } });
  const changes = openChangeList(deps, connector, input);
  const ensured = await reconciliation.ensureDestination({ connectorId, validateOnly: changes !== undefined });
  if (changes && ensured.catalogMade) {
    const name = [changes.catalogName];
    await changes.add({ kind: 'CATALOG', action: 'CREATE', name, destination: [], reason: 'does not exist yet' });
  }
  if (ensured.namespaceMade) await changes?.add(newNamespace(ensured.namespacePath));
  await changes?.flush();
  const { count: tables } = await countBindings(deps, connector, 'tables');
  const { count: views } = await countBindings(deps, connector, 'views');
  const { catalogId, namespaceId } = ensured;
  return { catalogId, namespaceId, before: { tables, views } };
}
