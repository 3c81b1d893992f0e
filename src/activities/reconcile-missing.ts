import type { Connector as OpenConnector } from '../connectors/spi.ts';
import type { Connector } from '../generated/reconciler/v1/connectors.ts';
import type { ActivityDeps } from './deps.ts';
import { withHeart } from './heart.ts';
import { type BoundOnes, markMissing } from './mark-missing.ts';
import { openSource } from './open-source.ts';
import { requestsMade } from './requests-made.ts';

export interface MissingInput {
  connectorId: string;
  /** Of views, not of tables. */
  views?: boolean;
  /** What the run has listed, if all of it was bound: where the same is bound now, none can be gone. */
  bound?: BoundTables;
  /** The run has told of namespaces that may not be listed: they are passed over. */
  refused?: boolean;
}

/** Tables, with a check sum of which: see CountBoundTables. */
export interface BoundTables {
  count: number;
  numberSum: number;
}

export interface MissingOutcome {
  marked: number;
  upstreamRequests?: number;
}

/**
 * Marks tables (or views) that are gone upstream: those bound to the connector that a complete listing of their namespace does
 * not have. To be called only after a run that was not narrowed and that found something.
 *
 * @returns how many were marked, with the requests that it took upstream
 */
export async function reconcileMissing(deps: ActivityDeps, input: MissingInput): Promise<MissingOutcome> {
  const { connectorId, views, bound, refused } = input;
  const connector = await deps.catalog.connectors.getConnector({ by: { $case: 'connectorId', value: connectorId } });
  // With a single table selected nothing is listed: when it is gone, bringing it in says so.
  if (connector.source?.table) return { marked: 0 };
  if (!views && bound !== undefined) {
    const namespacePath = connector.source?.namespacePath;
    const { count, numberSum } = await deps.catalog.reconciliation.countBoundTables({ connectorId, namespacePath });
    if (Number(count) === bound.count && Number(numberSum) === bound.numberSum) return { marked: 0 };
  }
  const what = views ? 'views' : 'tables';
  return withHeart(`Looking for ${what} gone from ${connector.uri}`, async (heart) => {
    await using source = await openSource(deps, connector);
    const { listViews } = source;
    let marked = 0;
    if (!views) {
      const list: OpenConnector['listTables'] = (path, page) => source.listTables(path, page);
      marked = await markMissing(boundTables(deps, connector), { what, refused, list }, heart);
    } else if (listViews) {
      marked = await markMissing(boundViews(deps, connector), { what, refused, list: listViews.bind(source) }, heart);
    }
    return { marked, upstreamRequests: requestsMade(source.usage) };
  });
}

function boundTables({ catalog: { reconciliation } }: ActivityDeps, { connectorId, source }: Connector): BoundOnes {
  return {
    async list(page) {
      const asked = { connectorId, namespacePath: source?.namespacePath, ...page };
      const { tables, nextPageToken } = await reconciliation.listBoundTables(asked);
      return { bound: tables.map(({ tableId, upstream }) => ({ id: tableId, upstream })), nextPageToken };
    },
    mark: async (tableIds) => (await reconciliation.markTablesMissing({ connectorId, tableIds })).marked,
  };
}

function boundViews({ catalog: { reconciliation } }: ActivityDeps, { connectorId, source }: Connector): BoundOnes {
  return {
    async list(page) {
      const asked = { connectorId, namespacePath: source?.namespacePath, ...page };
      const { views, nextPageToken } = await reconciliation.listBoundViews(asked);
      return { bound: views.map(({ viewId, upstream }) => ({ id: viewId, upstream })), nextPageToken };
    },
    mark: async (viewIds) => (await reconciliation.markViewsMissing({ connectorId, viewIds })).marked,
  };
}
