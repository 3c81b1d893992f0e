import { type Kysely, type Migration, sql } from 'kysely';

/** What a connector's webhook was told last: of which job, and what. */
export const migration: Migration = {
  async up(db: Kysely<never>): Promise<void> {
    await sql.raw(`alter table connectors add column last_alert text not null default ''`).execute(db);
  },
};
