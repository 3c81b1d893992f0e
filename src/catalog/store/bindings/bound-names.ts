import { type Kysely, sql } from 'kysely';
import type { UpstreamTable } from '../../../generated/reconciler/internal/v1/bindings.ts';
import { compiledQuery } from '../database/compiled-query.ts';
import { pathKey, pathOfKey, subtree } from '../database/path-key.ts';
import type { Schema } from '../database/schema.ts';

type Db = Kysely<Schema>;

/** Tables and views are bound to a connector and an upstream name by the same columns. */
export type BoundKind = 'tables' | 'views';

/** What the catalog knows of an upstream table or view. */
export interface BoundObject {
  /** Empty where it is not bound. */
  id: string;
  fingerprint: string;
  missing: boolean;
  /** Where it is in the catalog. */
  namespacePath: string[];
  name: string;
  /** Unique a table. 0 where it is not bound, and of views. */
  number: number;
  /** See TableUpstream. Empty for views. */
  coverage: string;
}

const NONE: BoundObject = {
  id: '',
  fingerprint: '',
  missing: false,
  namespacePath: [],
  name: '',
  number: 0,
  coverage: '',
};

/** One answer for each that is asked, in order. */
export async function lookupBound(
  db: Db,
  kind: BoundKind,
  connectorId: string,
  asked: readonly UpstreamTable[],
): Promise<BoundObject[]> {
  const namesByPath = new Map<string, Set<string>>();
  for (const { namespacePath, name } of asked) {
    const key = pathKey(namespacePath);
    namesByPath.set(key, (namesByPath.get(key) ?? new Set()).add(name));
  }
  const known = new Map<string, BoundObject>();
  for (const [key, names] of namesByPath) {
    const rows = await boundRows(db, kind, connectorId)
      .innerJoin('namespaces', 'namespaces.namespace_id', 'bound.namespace_id')
      .select(['fingerprint', 'missing_since', 'path_key', 'bound.name', 'upstream_name'])
      .select([numberOf(kind).as('number'), coverageOf(kind).as('coverage')])
      .where('upstream_path_key', '=', key)
      .where('upstream_name', 'in', [...names])
      .execute();
    for (const row of rows) {
      known.set(JSON.stringify([key, row.upstream_name]), {
        id: row.id,
        fingerprint: row.fingerprint,
        missing: row.missing_since !== null,
        namespacePath: pathOfKey(row.path_key),
        name: row.name,
        number: Number(row.number),
        coverage: row.coverage,
      });
    }
  }
  return asked.map(({ namespacePath, name }) => known.get(JSON.stringify([pathKey(namespacePath), name])) ?? NONE);
}

/** The id of the table or view that is bound to the upstream name. */
export async function findBoundId(
  db: Db,
  kind: BoundKind,
  connectorId: string,
  upstream: UpstreamTable,
): Promise<string | undefined> {
  const [row] = await BY_BINDING[kind](db, connectorId, pathKey(upstream.namespacePath), upstream.name);
  return row?.id;
}

const byBinding = (kind: BoundKind) =>
  compiledQuery((db, connectorId: string, path: string, name: string) =>
    boundRows(db, kind, connectorId).where('upstream_path_key', '=', path).where('upstream_name', '=', name),
  );
const BY_BINDING = { tables: byBinding('tables'), views: byBinding('views') };

/** Where a page of bound tables or views goes on. */
export interface BoundCursor {
  pathKey: string;
  name: string;
}

/**
 * Those of a connector that are not missing, by upstream namespace and name; of one namespace and below, if it is given.
 *
 * @param missingBy instead those that were marked missing by then
 */
export async function listBound(
  db: Db,
  kind: BoundKind,
  connectorId: string,
  path: readonly string[],
  limit: number,
  after?: BoundCursor,
  missingBy?: number,
) {
  let query = boundBelow(db, kind, connectorId, path, missingBy).select([
    'upstream_path_key',
    'upstream_name',
    numberOf(kind).as('number'),
  ]);
  if (after) {
    const { pathKey, name } = after;
    query = query.where(({ eb, refTuple, tuple }) =>
      eb(refTuple('upstream_path_key', 'upstream_name'), '>', tuple<string | null, string | null>(pathKey, name)),
    );
  }
  const rows = await query.orderBy('upstream_path_key').orderBy('upstream_name').limit(limit).execute();
  return rows.map((row) => ({
    id: row.id,
    pathKey: row.upstream_path_key ?? '',
    number: Number(row.number),
    upstream: { namespacePath: pathOfKey(row.upstream_path_key ?? ''), name: row.upstream_name ?? '' },
  }));
}

/** How many tables `listBound` lists in all, and the sum of their numbers. */
export async function countBound(
  db: Db,
  connectorId: string,
  path: readonly string[],
): Promise<{ count: number; numberSum: number }> {
  const below = boundBelow(db, 'tables', connectorId, path).select(numberOf('tables').as('number')).as('below');
  const { count, sum } = await db
    .selectFrom(below)
    .select((eb) => [eb.fn.countAll<number>().as('count'), eb.fn.sum<number | null>('number').as('sum')])
    .executeTakeFirstOrThrow();
  return { count: Number(count), numberSum: Number(sum ?? 0) };
}

/** Those that are not missing (or were marked so by then), of one namespace and below if it is given. */
function boundBelow(db: Db, kind: BoundKind, connectorId: string, path: readonly string[], missingBy?: number) {
  const query = withMissing(boundRows(db, kind, connectorId), missingBy);
  if (path.length === 0) return query;
  const { from, to } = subtree(path);
  return query.where('upstream_path_key', '>=', from).where('upstream_path_key', '<', to);
}

/** Of the given ids, those that are bound to the connector and not missing, or were marked so by then. */
export async function boundAmong(
  db: Db,
  kind: BoundKind,
  connectorId: string,
  ids: readonly string[],
  missingBy?: number,
): Promise<string[]> {
  if (ids.length === 0) return [];
  const rows = await withMissing(boundRows(db, kind, connectorId), missingBy)
    .where(idColumn(kind), 'in', [...ids])
    .execute();
  return rows.map(({ id }) => id);
}

const numberOf = (kind: BoundKind) => sql<number>`${kind === 'tables' ? sql.ref('bound.table_num') : sql.lit(0)}`;
const coverageOf = (kind: BoundKind) => sql<string>`${kind === 'tables' ? sql.ref('bound.coverage') : sql.lit('')}`;
const idColumn = (kind: BoundKind) => sql.ref<string>(kind === 'tables' ? 'bound.table_id' : 'bound.view_id');

/** Both have the columns that are asked for here, so that Kysely's types of one serve. */
function boundRows(db: Db, kind: BoundKind, connectorId: string) {
  return db
    .selectFrom(`${kind as 'tables'} as bound`)
    .select(idColumn(kind).as('id'))
    .where('connector_id', '=', connectorId);
}

function withMissing(query: ReturnType<typeof boundRows>, missingBy: number | undefined) {
  return missingBy === undefined
    ? query.where('missing_since', 'is', null)
    : query.where('missing_since', '<=', missingBy);
}
