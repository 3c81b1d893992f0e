import { type Kysely, type Migration, sql } from 'kysely';

/** Tables tell which of their snapshots are in; before, all were. */
export const migration: Migration = {
  async up(db: Kysely<never>): Promise<void> {
    await sql.raw(`alter table tables add column coverage text not null default ''`).execute(db);
  },
};
