import { selectedFormats } from '../../connectors/selected-formats.ts';
import { addToChecksum, type NameChecksum, NO_NAMES } from '../../contract/name-checksum.ts';
import type { TableRef } from '../../contract/upstream-names.ts';
import { toDuration } from '../../durations.ts';
import { type Binding, ObjectKind } from '../../generated/reconciler/internal/v1/bindings.ts';
import type { Connector } from '../../generated/reconciler/v1/connectors.ts';
import { TableFormat } from '../../generated/reconciler/v1/tables.ts';
import { nameFilter } from '../../name-patterns.ts';
import { upstreamNameHash } from '../../upstream-name-hash.ts';
import type { ActivityDeps } from '../runtime/deps.ts';
import { kindOf } from '../runtime/open-upstream.ts';

/** The kind of objects that a listing of the upstream names. */
export type Objects = 'tables' | 'views';

/**
 * The tables or views that a connector has ingested, that are not missing and that its patterns and formats still include. Excluded objects
 * count neither as present nor as gone.
 */
export interface Bindings {
  /** Sorted by upstream namespace. */
  list(page: BindingsPage): Promise<{ bindings: Binding[]; nextPageToken: string }>;
  /**
   * Marks them missing.
   *
   * @param shownByMetadata the metadata of the only one was read, and shows that it is no such object any more
   * @returns how many were not marked before
   */
  mark(bindings: readonly Binding[], shownByMetadata?: boolean): Promise<number>;
}

export interface BindingsPage {
  pageSize: number;
  pageToken: string;
}

/** Bindings per call. */
export const BINDINGS_PAGE = 1000;

const FORMAT = { ICEBERG: TableFormat.TABLE_FORMAT_ICEBERG, DELTA: TableFormat.TABLE_FORMAT_DELTA } as const;
const OBJECT_KIND = { tables: ObjectKind.OBJECT_KIND_TABLE, views: ObjectKind.OBJECT_KIND_VIEW } as const;

/** What the connector has bound to each of these upstream names, in their order: a binding without an id if there is nothing. */
export async function lookUpBindings(
  { catalog }: Pick<ActivityDeps, 'catalog'>,
  { connectorId }: Pick<Connector, 'connectorId'>,
  what: Objects,
  refs: readonly TableRef[],
): Promise<Binding[]> {
  if (refs.length === 0) return [];
  const names = refs.map(({ namespace, name }) => ({ namespacePath: [...namespace], name }));
  const { bindings } = await catalog.bindings.lookupBindings({ connectorId, kind: OBJECT_KIND[what], names });
  return bindings;
}

/** What narrows the bindings that the catalog returns. Patterns are applied afterwards. */
function selectionOf({ connectorId, kind, source, properties, auth }: Connector, what: Objects) {
  const selected = selectedFormats(kindOf({ kind }), { ...properties, ...auth?.properties });
  const formats = what === 'tables' ? selected?.map((format) => FORMAT[format]) : undefined;
  return { connectorId, kind: OBJECT_KIND[what], namespacePath: source?.namespacePath, formats };
}

/** @param missingForSeconds lists those that have been missing for at least this time instead */
export function openBindings(
  { catalog }: Pick<ActivityDeps, 'catalog'>,
  connector: Connector,
  what: Objects,
  missingForSeconds?: number,
): Bindings {
  const { connectorId, source } = connector;
  const kind = OBJECT_KIND[what];
  const missingFor = missingForSeconds === undefined ? undefined : toDuration(missingForSeconds);
  const filter = nameFilter(source);
  const isTaken = ({ upstream }: Binding) =>
    upstream !== undefined && filter.includes({ namespace: upstream.namespacePath, name: upstream.name });
  return {
    async list(page) {
      const request = { ...selectionOf(connector, what), missingFor, ...page };
      const { bindings, nextPageToken } = await catalog.bindings.listBindings(request);
      return { bindings: bindings.filter(isTaken), nextPageToken };
    },
    async mark(bindings, shownByMetadata) {
      const objectIds = bindings.map(({ objectId }) => objectId);
      return Number((await catalog.bindings.markMissing({ connectorId, kind, objectIds, shownByMetadata })).marked);
    },
  };
}

/** The number of objects that are not missing, and the checksum of their upstream names. A listing of the upstream should have the same. */
export async function countBindings(
  deps: Pick<ActivityDeps, 'catalog'>,
  connector: Connector,
  what: Objects,
): Promise<{ count: number; checksum: NameChecksum }> {
  if (!nameFilter(connector.source).hasPatterns) {
    const { count, checksum } = await deps.catalog.bindings.countBindings(selectionOf(connector, what));
    return { count: Number(count), checksum: checksum.toString() };
  }
  const open = openBindings(deps, connector, what);
  let [count, checksum, pageToken] = [0, NO_NAMES, ''];
  do {
    const { bindings, nextPageToken } = await open.list({ pageSize: BINDINGS_PAGE, pageToken });
    count += bindings.length;
    checksum = addToChecksum(checksum, ...bindings.map(hashOf));
    pageToken = nextPageToken;
  } while (pageToken);
  return { count, checksum };
}

function hashOf({ upstream }: Binding): bigint {
  return upstreamNameHash(upstream?.namespacePath ?? [], upstream?.name ?? '');
}
