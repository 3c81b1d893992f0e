import { type Kysely, type Migration, sql } from 'kysely';

/** Of a connector that is being deleted: whether what it brought in goes too. */
export const migration: Migration = {
  async up(db: Kysely<never>): Promise<void> {
    await sql.raw('alter table connectors add column delete_contents integer not null default 0').execute(db);
  },
};
