import type { Kysely } from 'kysely';
import type { Schema } from './schema.ts';

/** The id of this catalog. It never changes, unless the database is restored with a new one. */
export async function catalogIdOf(db: Kysely<Schema>): Promise<string> {
  return (await db.selectFrom('service').select('catalog_id').executeTakeFirstOrThrow()).catalog_id;
}
