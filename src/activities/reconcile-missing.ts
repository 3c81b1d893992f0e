import type { Connector as OpenConnector } from '../connectors/spi.ts';
import type { Connector } from '../generated/reconciler/v1/connectors.ts';
import type { UpstreamTable } from '../generated/reconciler/v1/reconciliation.ts';
import { nameFilter } from '../name-patterns.ts';
import type { ActivityDeps } from './deps.ts';
import { withHeart } from './heart.ts';
import { type BoundOnes, markMissing } from './mark-missing.ts';
import { openSource } from './open-source.ts';
import { requestsMade } from './requests-made.ts';

/** Bound tables asked for at once. */
const PAGE = 1000;

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
    const { count, numberSum } = await countBound(deps, connector);
    if (count === bound.count && numberSum === bound.numberSum) return { marked: 0 };
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

/** The tables that a listing of the upstream should have given. */
async function countBound({ catalog: { reconciliation } }: ActivityDeps, connector: Connector): Promise<BoundTables> {
  const { connectorId, source } = connector;
  const asked = { connectorId, namespacePath: source?.namespacePath };
  if (!nameFilter(source).narrows) {
    const { count, numberSum } = await reconciliation.countBoundTables(asked);
    return { count: Number(count), numberSum: Number(numberSum) };
  }
  const sum = { count: 0, numberSum: 0 };
  const isTaken = taken(connector);
  let pageToken = '';
  do {
    const { tables, nextPageToken } = await reconciliation.listBoundTables({ ...asked, pageSize: PAGE, pageToken });
    for (const { number } of tables.filter(isTaken)) {
      sum.count += 1;
      sum.numberSum += Number(number);
    }
    pageToken = nextPageToken;
  } while (pageToken);
  return sum;
}

/** Which of what is bound the connector's patterns still take: what they filter is neither there nor gone. */
function taken({ source }: Connector): (bound: { upstream?: UpstreamTable }) => boolean {
  const filter = nameFilter(source);
  return ({ upstream }) =>
    upstream !== undefined && filter.takes({ namespace: upstream.namespacePath, name: upstream.name });
}

function boundTables({ catalog: { reconciliation } }: ActivityDeps, connector: Connector): BoundOnes {
  const { connectorId, source } = connector;
  const isTaken = taken(connector);
  return {
    async list(page) {
      const asked = { connectorId, namespacePath: source?.namespacePath, ...page };
      const { tables, nextPageToken } = await reconciliation.listBoundTables(asked);
      const bound = tables.filter(isTaken).map(({ tableId, upstream }) => ({ id: tableId, upstream }));
      return { bound, nextPageToken };
    },
    mark: async (tableIds) => (await reconciliation.markTablesMissing({ connectorId, tableIds })).marked,
  };
}

function boundViews({ catalog: { reconciliation } }: ActivityDeps, connector: Connector): BoundOnes {
  const { connectorId, source } = connector;
  const isTaken = taken(connector);
  return {
    async list(page) {
      const asked = { connectorId, namespacePath: source?.namespacePath, ...page };
      const { views, nextPageToken } = await reconciliation.listBoundViews(asked);
      const bound = views.filter(isTaken).map(({ viewId, upstream }) => ({ id: viewId, upstream }));
      return { bound, nextPageToken };
    },
    mark: async (viewIds) => (await reconciliation.markViewsMissing({ connectorId, viewIds })).marked,
  };
}
