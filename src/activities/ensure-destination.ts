import type { Destination } from '../contract/activities.ts';
import { ChangeList } from './dry-run/change-list.ts';
import { newNamespace } from './ingest/destination-namespaces.ts';
import { countBindings } from './missing/bindings.ts';
import type { ActivityDeps } from './runtime/deps.ts';

/**
 * Makes the destination's catalog, and its namespace where the connector names one, and resolves their names to ids.
 * Namespaces that take the source's path are made with the page of tables that needs them.
 *
 * @throws FAILED_PRECONDITION that says what differs, where an id and a name do not agree
 */
export async function ensureDestination(
  deps: ActivityDeps,
  { connectorId, dryRun }: { connectorId: string; dryRun?: boolean },
): Promise<Destination> {
  const { connectors, reconciliation } = deps.catalog;
  const connector = await connectors.getConnector({ by: { $case: 'connectorId', value: connectorId } });
  const ensured = await reconciliation.ensureDestination({ connectorId, dryRun });
  const { catalogId, namespaceId } = ensured;
  if (dryRun) {
    const changes = new ChangeList(deps, connector);
    const [kind, action, name] = ['CATALOG', 'CREATE', [changes.catalogName]] as const;
    if (ensured.catalogMade) await changes.add({ kind, action, name, destination: [], reason: 'not there yet' });
    if (ensured.namespaceMade) await changes.add(newNamespace(ensured.namespacePath));
    await changes.flush();
  }
  const { count: tables } = await countBindings(deps, connector, 'tables');
  const { count: views } = await countBindings(deps, connector, 'views');
  return { catalogId, namespaceId, before: { tables, views } };
}
