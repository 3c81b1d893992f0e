import type { BoundTables } from '../../contract/activities.ts';
import type { Connector } from '../../generated/reconciler/v1/connectors.ts';
import type { UpstreamTable } from '../../generated/reconciler/v1/reconciliation.ts';
import { nameFilter } from '../../name-patterns.ts';
import type { ActivityDeps } from '../runtime/deps.ts';

/** A table or view that a connector has ingested. */
export interface Binding {
  id: string;
  upstreamName?: UpstreamTable;
  /** For a table: see CountBoundTables. 0 for a view. */
  number: number;
}

/**
 * Tables or views that a connector has ingested, that are not missing and that it still takes: what its patterns filter counts neither as
 * present nor as gone.
 */
export interface Bindings {
  /** Sorted by upstream namespace. */
  list(page: BindingPage): Promise<{ bindings: Binding[]; nextPageToken: string }>;
  /** Marks them missing. @returns how many were not missing before */
  mark(bindings: readonly Binding[]): Promise<number>;
}

export interface BindingPage {
  pageSize: number;
  pageToken: string;
}

export const BINDING_PAGE_SIZE = 1000;

/** @param missingForSeconds instead those that have been missing for at least this long */
export function openBindings(
  { catalog: { reconciliation } }: Pick<ActivityDeps, 'catalog'>,
  { connectorId, source }: Connector,
  what: 'tables' | 'views',
  missingForSeconds?: bigint,
): Bindings {
  const scope = { connectorId, namespacePath: source?.namespacePath, missingForSeconds };
  const filter = nameFilter(source);
  const isTaken = ({ upstreamName }: Binding) =>
    upstreamName !== undefined && filter.takes({ namespace: upstreamName.namespacePath, name: upstreamName.name });
  if (what === 'tables') {
    return {
      async list(page) {
        const { tables, nextPageToken } = await reconciliation.listBoundTables({ ...scope, ...page });
        const bindings = tables.map(({ tableId: id, upstream: upstreamName, number }) => ({
          id,
          upstreamName,
          number: Number(number),
        }));
        return { bindings: bindings.filter(isTaken), nextPageToken };
      },
      async mark(bindings) {
        const tableIds = bindings.map(({ id }) => id);
        return Number((await reconciliation.markTablesMissing({ connectorId, tableIds })).marked);
      },
    };
  }
  return {
    async list(page) {
      const { views, nextPageToken } = await reconciliation.listBoundViews({ ...scope, ...page });
      const bindings = views.map(({ viewId: id, upstream: upstreamName }) => ({ id, upstreamName, number: 0 }));
      return { bindings: bindings.filter(isTaken), nextPageToken };
    },
    async mark(bindings) {
      const viewIds = bindings.map(({ id }) => id);
      return Number((await reconciliation.markViewsMissing({ connectorId, viewIds })).marked);
    },
  };
}

/** How many there are that are not missing: as many as a listing of the upstream should have. */
export async function countBindings(
  deps: Pick<ActivityDeps, 'catalog'>,
  connector: Connector,
  what: 'tables' | 'views',
): Promise<BoundTables> {
  const { connectorId, source } = connector;
  if (what === 'tables' && !nameFilter(source).narrows) {
    const scope = { connectorId, namespacePath: source?.namespacePath };
    const { count, numberSum } = await deps.catalog.reconciliation.countBoundTables(scope);
    return { count: Number(count), numberSum: Number(numberSum) };
  }
  const all = openBindings(deps, connector, what);
  const total = { count: 0, numberSum: 0 };
  let pageToken = '';
  do {
    const { bindings, nextPageToken } = await all.list({ pageSize: BINDING_PAGE_SIZE, pageToken });
    total.count += bindings.length;
    for (const { number } of bindings) total.numberSum += number;
    pageToken = nextPageToken;
  } while (pageToken);
  return total;
}
