import { sql } from 'kysely';
import { ObjectKind } from '../../../generated/reconciler/internal/v1/bindings.ts';
import type { DeletedNamespace } from '../../../generated/reconciler/v1/connectors.ts';
import { pathOfKey } from '../database/path-key.ts';
import type { Scoped } from '../database/scoped.ts';

type Db = Scoped;

/** Namespaces that are described; all are counted. */
const MAX_NAMESPACES = 20;
/** Names per namespace that are listed, of tables and of views. */
const MAX_NAMES = 3;

export interface ContentsSummary {
  tables: number;
  views: number;
  snapshots: number;
  /** Namespaces that contain some of them. */
  namespaceCount: number;
  /** The first of them, by catalog and path. */
  namespaces: DeletedNamespace[];
}

/** What `deleteSomeContents` would delete of a connector in total: everything that is bound to it, including what is missing upstream. */
export async function summarizeContents(db: Db, connectorId: string): Promise<ContentsSummary> {
  const counts = await objectsOf(db, connectorId)
    .innerJoin('catalogs', 'catalogs.catalog_id', 'namespaces.catalog_id')
    .select(['namespaces.namespace_id', 'namespaces.path_key', 'catalogs.display_name'])
    .select(({ fn }) => [fn.sum<number>('is_table').as('tables'), fn.countAll<number>().as('objects')])
    .groupBy('namespaces.namespace_id')
    .orderBy('catalogs.display_name')
    .orderBy('namespaces.path_key')
    .execute();
  const { snapshots } = await db
    .selectFrom('bindings')
    .innerJoin('tables', 'tables.table_id', 'bindings.object_id')
    .innerJoin('snapshots', 'snapshots.table_num', 'tables.table_num')
    .select(({ fn }) => fn.countAll<number>().as('snapshots'))
    .where('bindings.tenant_id', '=', db.tenant)
    .where('bindings.connector_id', '=', connectorId)
    .where('snapshots.published', 'is not', null)
    .executeTakeFirstOrThrow();
  const sum = (values: number[]) => values.reduce((total, value) => total + value, 0);
  const tables = sum(counts.map((row) => row.tables));
  return {
    tables,
    views: sum(counts.map((row) => row.objects)) - tables,
    snapshots,
    namespaceCount: counts.length,
    namespaces: await Promise.all(
      counts.slice(0, MAX_NAMESPACES).map(async ({ namespace_id, path_key, display_name, tables, objects }) => ({
        catalogName: display_name,
        path: pathOfKey(path_key),
        tables: BigInt(tables),
        views: BigInt(objects - tables),
        firstTables: await firstNames(db, connectorId, namespace_id, 1),
        firstViews: await firstNames(db, connectorId, namespace_id, 0),
      })),
    ),
  };
}

/** The connector's tables and views, with their namespaces. */
function objectsOf(db: Db, connectorId: string) {
  return db
    .selectFrom((eb) =>
      eb
        .selectFrom('bindings')
        .innerJoin('object_names', 'object_names.object_id', 'bindings.object_id')
        .select(['object_names.namespace_id', 'object_names.name'])
        .select(sql<number>`case when bindings.kind = ${ObjectKind.OBJECT_KIND_TABLE} then 1 else 0 end`.as('is_table'))
        .where('bindings.tenant_id', '=', db.tenant)
        .where('bindings.connector_id', '=', connectorId)
        .as('objects'),
    )
    .innerJoin('namespaces', 'namespaces.namespace_id', 'objects.namespace_id');
}

async function firstNames(db: Db, connectorId: string, namespaceId: string, isTable: 0 | 1): Promise<string[]> {
  const rows = await objectsOf(db, connectorId)
    .select('objects.name')
    .where('objects.namespace_id', '=', namespaceId)
    .where('objects.is_table', '=', isTable)
    .orderBy('objects.name')
    .limit(MAX_NAMES)
    .execute();
  return rows.map(({ name }) => name);
}
