import type { BoundTables } from '../../contract/activities.ts';
import { toDuration } from '../../durations.ts';
import type { UpstreamTable } from '../../generated/reconciler/internal/v1/bindings.ts';
import type { Connector } from '../../generated/reconciler/v1/connectors.ts';
import { nameFilter } from '../../name-patterns.ts';
import type { ActivityDeps } from '../runtime/deps.ts';

/** A table or view that a connector has brought in. */
export interface Binding {
  id: string;
  upstream?: UpstreamTable;
  /** Of a table: see CountBoundTables. 0 of a view. */
  number: number;
}

/**
 * Tables or views that a connector has brought in, that are not missing and that it still takes: what its patterns filter is neither there
 * nor gone.
 */
export interface Bindings {
  /** Sorted by upstream namespace. */
  list(page: BoundPage): Promise<{ bound: Binding[]; nextPageToken: string }>;
  /** Marks them missing. @returns how many were not before */
  mark(ones: readonly Binding[]): Promise<number>;
}

export interface BoundPage {
  pageSize: number;
  pageToken: string;
}

/** Asked for at once. */
export const BOUND_PAGE = 1000;

/** @param missingForSeconds instead those that have been missing for so long */
export function openBindings(
  { catalog: { bindings } }: Pick<ActivityDeps, 'catalog'>,
  { connectorId, source }: Connector,
  what: 'tables' | 'views',
  missingForSeconds?: number,
): Bindings {
  const missingFor = missingForSeconds === undefined ? undefined : toDuration(missingForSeconds);
  const of = { connectorId, namespacePath: source?.namespacePath, missingFor };
  const filter = nameFilter(source);
  const isTaken = ({ upstream }: Binding) =>
    upstream !== undefined && filter.takes({ namespace: upstream.namespacePath, name: upstream.name });
  if (what === 'tables') {
    return {
      async list(page) {
        const { tables, nextPageToken } = await bindings.listBoundTables({ ...of, ...page });
        const bound = tables.map(({ tableId, upstream, number }) => ({
          id: tableId,
          upstream,
          number: Number(number),
        }));
        return { bound: bound.filter(isTaken), nextPageToken };
      },
      async mark(ones) {
        const tableIds = ones.map(({ id }) => id);
        return Number((await bindings.markTablesMissing({ connectorId, tableIds })).marked);
      },
    };
  }
  return {
    async list(page) {
      const { views, nextPageToken } = await bindings.listBoundViews({ ...of, ...page });
      const bound = views.map(({ viewId, upstream }) => ({ id: viewId, upstream, number: 0 }));
      return { bound: bound.filter(isTaken), nextPageToken };
    },
    async mark(ones) {
      const viewIds = ones.map(({ id }) => id);
      return Number((await bindings.markViewsMissing({ connectorId, viewIds })).marked);
    },
  };
}

/** How many there are that are not missing: as many as a listing of the upstream should give. */
export async function countBindings(
  deps: Pick<ActivityDeps, 'catalog'>,
  connector: Connector,
  what: 'tables' | 'views',
): Promise<BoundTables> {
  const { connectorId, source } = connector;
  if (what === 'tables' && !nameFilter(source).narrows) {
    const asked = { connectorId, namespacePath: source?.namespacePath };
    const { count, numberSum } = await deps.catalog.bindings.countBoundTables(asked);
    return { count: Number(count), numberSum: Number(numberSum) };
  }
  const ones = openBindings(deps, connector, what);
  const sum = { count: 0, numberSum: 0 };
  let pageToken = '';
  do {
    const { bound, nextPageToken } = await ones.list({ pageSize: BOUND_PAGE, pageToken });
    sum.count += bound.length;
    for (const { number } of bound) sum.numberSum += number;
    pageToken = nextPageToken;
  } while (pageToken);
  return sum;
}
