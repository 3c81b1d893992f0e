import type { NamespacePath, Connector as OpenConnector } from '../connectors/spi.ts';
import { CodedError } from '../errors.ts';
import type { ActivityDeps } from './deps.ts';
import { type Heart, withHeart } from './heart.ts';
import { openSource } from './open-source.ts';

const PAGE = 1000;

/**
 * Marks tables that are gone upstream: those bound to the connector that a complete listing of their namespace does not
 * have. Nothing is marked where a listing fails. To be called only after a run that was not narrowed.
 *
 * The names of one namespace at a time are held in memory.
 *
 * @returns how many were marked
 */
export async function reconcileMissing(deps: ActivityDeps, input: { connectorId: string }): Promise<number> {
  const { connectorId } = input;
  const connector = await deps.catalog.connectors.getConnector({ by: { $case: 'connectorId', value: connectorId } });
  // With a single table selected nothing is listed: when it is gone, bringing it in says so.
  if (connector.source?.table) return 0;
  return withHeart(`Looking for tables gone from ${connector.uri}`, async (heart) => {
    await using source = await openSource(deps, connector);
    let marked = 0;
    let pageToken = '';
    let namespace: { key: string; names: Set<string> } | undefined;
    do {
      const page = await deps.catalog.reconciliation.listBoundTables({
        connectorId,
        pageSize: PAGE,
        pageToken,
        namespacePath: connector.source?.namespacePath,
      });
      const gone: string[] = [];
      for (const { tableId, upstream } of page.tables) {
        if (!upstream) continue;
        const key = JSON.stringify(upstream.namespacePath);
        if (namespace?.key !== key) namespace = { key, names: await listNames(source, upstream.namespacePath, heart) };
        if (!namespace.names.has(upstream.name)) gone.push(tableId);
      }
      if (gone.length > 0) {
        const answer = await deps.catalog.reconciliation.markTablesMissing({ connectorId, tableIds: gone });
        marked += Number(answer.marked);
      }
      heart.beat();
      pageToken = page.nextPageToken;
    } while (pageToken);
    return marked;
  });
}

/** All table names of a namespace; none where the namespace itself is gone. */
async function listNames(source: OpenConnector, path: NamespacePath, heart: Heart): Promise<Set<string>> {
  const names = new Set<string>();
  let token: string | undefined;
  try {
    do {
      const page = await source.listTables(path, { size: PAGE, token });
      for (const { name } of page.items) names.add(name);
      heart.beat();
      token = page.nextToken;
    } while (token !== undefined);
  } catch (error) {
    if (error instanceof CodedError && error.code === 'NOT_FOUND' && path.length > 0) return new Set();
    throw error;
  }
  return names;
}
