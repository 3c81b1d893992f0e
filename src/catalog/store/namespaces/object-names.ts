import type { Insertable, Kysely } from 'kysely';
import { compiledQuery, compiledWrite } from '../database/compiled-query.ts';
import type { Schema } from '../database/schema.ts';

type Db = Kysely<Schema>;

/** The id of the table or view that has the name in the namespace. */
export async function findObject(db: Db, namespaceId: string, name: string): Promise<string | undefined> {
  return (await byName(db, namespaceId, name))[0]?.object_id;
}

const byName = compiledQuery((db, namespaceId: string, name: string) =>
  db.selectFrom('object_names').select('object_id').where('namespace_id', '=', namespaceId).where('name', '=', name),
);

/** Gives a name to a table or view. The name must be free in the namespace. */
export async function nameObject(db: Db, namespaceId: string, name: string, objectId: string): Promise<void> {
  await insert(db, { namespace_id: namespaceId, name, object_id: objectId });
}

const insert = compiledWrite((db, row: Insertable<Schema['object_names']>) =>
  db.insertInto('object_names').values(row),
);

/** Frees the name of a table or view. */
export async function unnameObject(db: Db, objectId: string): Promise<void> {
  await db.deleteFrom('object_names').where('object_id', '=', objectId).execute();
}
