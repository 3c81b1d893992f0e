import { type Insertable, type Kysely, sql } from 'kysely';
import type { TableSchema } from '../../../generated/reconciler/v1/tables.ts';
import { type LeafColumn, leafColumns } from '../../../stats/leaf-columns.ts';
import { METADATA_COLUMNS } from '../../../stats/metadata-columns.ts';
import { compiledQuery, compiledWrite } from '../database/compiled-query.ts';
import type { Schema } from '../database/schema.ts';

type Db = Kysely<Schema>;

/** Upserts one version of a table's schema. */
export async function putSchema(
  db: Db,
  tableNum: number,
  schema: Pick<TableSchema, 'schemaId' | 'json'>,
): Promise<void> {
  await upsert(db, { table_num: tableNum, schema_id: schema.schemaId, json: schema.json });
}

const upsert = compiledWrite((db, row: Insertable<Schema['table_schemas']>) =>
  db
    .insertInto('table_schemas')
    .values(row)
    .onConflict((conflict) =>
      conflict
        .columns(['table_num', 'schema_id'])
        .doUpdateSet(({ ref }) => ({ json: ref('excluded.json') }))
        .whereRef('table_schemas.json', '!=', 'excluded.json'),
    ),
);

export async function findSchema(db: Db, tableNum: number, schemaId: number): Promise<TableSchema | undefined> {
  const [row] = await byId(db, tableNum, schemaId);
  return row && schemaMessage(schemaId, row.json);
}

const byId = compiledQuery((db, tableNum: number, schemaId: number) =>
  db.selectFrom('table_schemas').select('json').where('table_num', '=', tableNum).where('schema_id', '=', schemaId),
);

/** All versions of a table's schema by id, without their columns. One is read at a time, because each may have megabytes. */
export async function* allSchemas(db: Db, tableNum: number): AsyncGenerator<TableSchema> {
  for (let after = -1; ; ) {
    const [row] = await nextSchema(db, tableNum, after);
    if (!row) return;
    yield { schemaId: row.schema_id, json: row.json, columns: [] };
    after = row.schema_id;
  }
}

const nextSchema = compiledQuery((db, tableNum: number, after: number) =>
  db
    .selectFrom('table_schemas')
    .select(['schema_id', 'json'])
    .where('table_num', '=', tableNum)
    .where('schema_id', '>', after)
    .orderBy('schema_id')
    .limit(sql.lit(1)),
);

/** The schema with its leaf columns. */
export function schemaMessage(schemaId: number, json: string): TableSchema {
  const columns = leafColumns(json).map(({ id, name, type, required }) => ({ columnId: id, name, type, required }));
  return { schemaId, json, columns };
}

/** The schemas that are needed to read a snapshot. */
export interface SnapshotSchemas {
  /** Undefined if the snapshot's schema is not known. */
  id: number | undefined;
  /** JSON of the snapshot's schema, or of the table's current one if the snapshot has none; undefined if neither is known. */
  json: string | undefined;
  /** Leaf columns of that schema, in its order. */
  columns: LeafColumn[];
  /** Finds a column by id in that schema, then in the newest other schema that has it, then among the metadata columns. */
  find(id: number): LeafColumn | undefined;
  /** Whether the column was dropped and another one of that schema has its name. */
  isNameTaken(id: number): boolean;
  /** The type of a column in the table's current schema, or in the newest other schema that has it. */
  currentType(id: number): string | undefined;
  /** The type of a column in one of the table's schemas. */
  typeIn(schemaId: number, id: number): string | undefined;
}

/**
 * @param schemaId the snapshot's schema; null if it has none
 * @param currentId the table's current schema, which is used if the snapshot's is not known
 */
export async function snapshotSchemas(
  db: Db,
  tableNum: number,
  schemaId: number | null,
  currentId: number | null,
): Promise<SnapshotSchemas> {
  const rows = await db
    .selectFrom('table_schemas')
    .select(['schema_id', 'json'])
    .where('table_num', '=', tableNum)
    .orderBy('schema_id', 'desc')
    .execute();
  const schema = rows.find((row) => row.schema_id === schemaId) ?? rows.find((row) => row.schema_id === currentId);
  const columns = schema ? leafColumns(schema.json) : [];
  const byId = new Map(columns.map((column) => [column.id, column]));
  let others: Map<number, LeafColumn> | undefined;
  const findOther = (id: number) => {
    // Oldest first, so that the newest schema's column is kept.
    others ??= new Map(rows.toReversed().flatMap(({ json }) => leafColumns(json).map((column) => [column.id, column])));
    return others.get(id);
  };
  const types = new Map<number, Map<number, string>>();
  const typeIn = (version: number | null, id: number) => {
    let typesOf = types.get(version ?? -1);
    if (!typesOf) {
      const json = rows.find((row) => row.schema_id === version)?.json;
      typesOf = new Map(json === undefined ? [] : leafColumns(json).map((column) => [column.id, column.type]));
      types.set(version ?? -1, typesOf);
    }
    return typesOf.get(id);
  };
  const find = (id: number) => byId.get(id) ?? findOther(id) ?? METADATA_COLUMNS.get(id);
  let names: Set<string | undefined> | undefined;
  const isNameTaken = (id: number) => {
    if (byId.has(id)) return false;
    names ??= new Set(columns.map((column) => column.name));
    return names.has(find(id)?.name);
  };
  return {
    id: schema?.schema_id,
    json: schema?.json,
    columns,
    find,
    isNameTaken,
    currentType: (id) => typeIn(currentId, id) ?? findOther(id)?.type,
    typeIn,
  };
}
