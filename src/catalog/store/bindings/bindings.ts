import { type Kysely, sql } from 'kysely';
import { Binding, type ObjectKind, type UpstreamName } from '../../../generated/reconciler/internal/v1/bindings.ts';
import { JobResult } from '../../../generated/reconciler/v1/jobs.ts';
import type { TableFormat } from '../../../generated/reconciler/v1/tables.ts';
import { compiledQuery } from '../database/compiled-query.ts';
import { bytesOf, mapPage, type Page, readPage } from '../database/page-cut.ts';
import { pathKey, pathOfKey, subtree } from '../database/path-key.ts';
import type { Schema } from '../database/schema.ts';
import type { Scoped } from '../database/scoped.ts';
import { namespacePaths } from '../namespaces/namespaces.ts';
import { touchObject } from './objects.ts';
import { recordGone } from './record-gone.ts';

type Db = Scoped;

/** Looks up the bindings of upstream names, in their order. The message is empty for a name that is not bound. */
export async function lookupBindings(
  db: Db,
  kind: ObjectKind,
  connectorId: string,
  names: readonly UpstreamName[],
): Promise<Binding[]> {
  const byPath = new Map<string, Map<string, Binding>>();
  const inPath = names.map(({ namespacePath, name }) => {
    const key = pathKey(namespacePath);
    const found = byPath.get(key) ?? new Map<string, Binding>();
    byPath.set(key, found.set(name, NOT_BOUND));
    return found;
  });
  for (const [key, found] of byPath) {
    const rows = await withCatalogName(bindingsOf(db, kind, connectorId))
      .where('upstream_path_key', '=', key)
      .where('upstream_name', 'in', [...found.keys()])
      .execute();
    const toMessage = await messagesOf(db, rows);
    for (const row of rows) found.set(row.upstream_name, toMessage(row));
  }
  return names.map(({ name }, i) => inPath[i]?.get(name) ?? NOT_BOUND);
}

const NOT_BOUND = Binding.create();

/** The id of the table or view that is bound to the upstream name. */
export async function findBoundId(
  db: Db,
  kind: ObjectKind,
  connectorId: string,
  { namespacePath, name }: UpstreamName,
): Promise<string | undefined> {
  return (await byName(db, db.tenant, connectorId, kind, pathKey(namespacePath), name))[0]?.object_id;
}

const byName = compiledQuery((db, tenant: string, connectorId: string, kind: ObjectKind, path: string, name: string) =>
  bindingsIn(db, tenant, kind, connectorId)
    .select('bindings.object_id')
    .where('upstream_path_key', '=', path)
    .where('upstream_name', '=', name),
);

/** Which bindings of a connector are listed. */
export interface BindingFilter {
  /** Only those in this upstream namespace and below it. Empty: all. */
  path: readonly string[];
  /** Only tables that have one of these formats in the catalog. Empty: all. */
  formats?: readonly TableFormat[];
  /** Those that were marked missing by this time, in milliseconds since the epoch. Absent: those that are not missing. */
  missingBy?: number;
}

/** Lists a page of at most `size` bindings after `after`, ordered by upstream namespace and name. */
export async function listBindings(
  db: Db,
  kind: ObjectKind,
  connectorId: string,
  filter: BindingFilter,
  size: number,
  after?: UpstreamName,
): Promise<Page<Binding>> {
  let query = withCatalogName(filtered(bindingsOf(db, kind, connectorId), filter)).select('upstream_path_key');
  if (after) {
    query = query.where(({ eb, refTuple, tuple }) =>
      eb(refTuple('upstream_path_key', 'upstream_name'), '>', tuple(pathKey(after.namespacePath), after.name)),
    );
  }
  // The path of the object's namespace, which is read later, is about as long as that of the upstream.
  const bytes = bytesOf(
    'upstream_path_key',
    'upstream_path_key',
    'upstream_name',
    'object_names.name',
    'fingerprint',
    'coverage',
  );
  const page = await readPage(query.orderBy('upstream_path_key').orderBy('upstream_name'), bytes, size);
  const toMessage = await messagesOf(db, page.items);
  return mapPage(page, (row) => ({
    ...toMessage(row),
    upstream: { namespacePath: pathOfKey(row.upstream_path_key), name: row.upstream_name },
  }));
}

/** How many `listBindings` lists without a limit, and the sum of the hashes of their upstream names, modulo 2^64. */
export async function countBindings(
  db: Db,
  kind: ObjectKind,
  connectorId: string,
  filter: Omit<BindingFilter, 'missingBy'>,
): Promise<{ count: number; checksum: bigint }> {
  const { count, high, low } = await filtered(bindingsOf(db, kind, connectorId), filter)
    .select((eb) => [
      eb.fn.countAll<number>().as('count'),
      // Halves are summed, since SQLite's sum() fails beyond 64 bits; as text, since JavaScript numbers hold only 53 bits.
      sql<string | null>`cast(sum(name_hash >> 32) as text)`.as('high'),
      sql<string | null>`cast(sum(name_hash & 4294967295) as text)`.as('low'),
    ])
    .executeTakeFirstOrThrow();
  return { count: Number(count), checksum: BigInt.asUintN(64, (BigInt(high ?? 0) << 32n) + BigInt(low ?? 0)) };
}

/** Those of the ids that are bound to the connector and not missing, or were marked missing by `missingBy`. */
export async function boundAmong(
  db: Db,
  kind: ObjectKind,
  connectorId: string,
  ids: readonly string[],
  missingBy?: number,
): Promise<string[]> {
  if (ids.length === 0) return [];
  const rows = await filtered(bindingsOf(db, kind, connectorId), { path: [], missingBy })
    .select('bindings.object_id')
    .where('bindings.object_id', 'in', [...ids])
    .execute();
  return rows.map((row) => row.object_id);
}

/**
 * Marks bound objects as missing, and records that with the connector's job.
 *
 * @param now as the clock's `now`
 * @returns how many were not marked before
 */
export async function markMissing(
  db: Db,
  kind: ObjectKind,
  connectorId: string,
  ids: readonly string[],
  now: number,
): Promise<number> {
  const bound = await boundAmong(db, kind, connectorId, ids);
  if (bound.length === 0) return 0;
  await db
    .updateTable('bindings')
    .set({ missing_since: now })
    .where('tenant_id', '=', db.tenant)
    .where('object_id', 'in', bound)
    .execute();
  for (const id of bound) await touchObject(db, kind, id);
  await recordGone(db, connectorId, kind, bound, JobResult.JOB_RESULT_MISSING);
  return bound.length;
}

function bindingsOf(db: Db, kind: ObjectKind, connectorId: string) {
  return bindingsIn(db, db.tenant, kind, connectorId);
}

function bindingsIn(db: Kysely<Schema>, tenant: string, kind: ObjectKind, connectorId: string) {
  const query = db.selectFrom('bindings').where('bindings.tenant_id', '=', tenant);
  return query.where('connector_id', '=', connectorId).where('kind', '=', kind);
}

function filtered(query: ReturnType<typeof bindingsOf>, { path, formats = [], missingBy }: BindingFilter) {
  const selected =
    formats.length === 0
      ? query
      : query.where(({ exists, selectFrom }) =>
          exists(
            selectFrom('tables')
              .select('table_id')
              .whereRef('table_id', '=', 'bindings.object_id')
              .where('format', 'in', formats),
          ),
        );
  const below =
    path.length === 0
      ? selected
      : selected.where('upstream_path_key', '>=', subtree(path).from).where('upstream_path_key', '<', subtree(path).to);
  return missingBy === undefined
    ? below.where('missing_since', 'is', null)
    : below.where('missing_since', '<=', missingBy);
}

/** Adds the objects' names in the catalog. */
function withCatalogName(query: ReturnType<typeof bindingsOf>) {
  return query
    .innerJoin('object_names', 'object_names.object_id', 'bindings.object_id')
    .select(['bindings.object_id', 'upstream_name', 'fingerprint', 'coverage', 'missing_since'])
    .select(['object_names.namespace_id', 'object_names.name']);
}

type BindingWithName = Awaited<ReturnType<ReturnType<typeof withCatalogName>['executeTakeFirstOrThrow']>>;

/** Makes messages, without the upstream name. The rows' few namespaces are read once. */
async function messagesOf(db: Db, rows: readonly BindingWithName[]): Promise<(row: BindingWithName) => Binding> {
  const paths = await namespacePaths(db, [...new Set(rows.map((row) => row.namespace_id))]);
  return (row) => ({
    objectId: row.object_id,
    upstream: undefined,
    fingerprint: row.fingerprint,
    coverage: row.coverage,
    missing: row.missing_since !== null,
    namespacePath: paths.get(row.namespace_id) ?? [],
    name: row.name,
  });
}
