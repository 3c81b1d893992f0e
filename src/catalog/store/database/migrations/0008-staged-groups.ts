import { type Kysely, type Migration, sql } from 'kysely';

/** The groups of a staged snapshot's changes that are in: a JSON array of their names. */
export const migration: Migration = {
  async up(db: Kysely<never>): Promise<void> {
    await sql`alter table snapshots add column staged_groups text`.execute(db);
  },
};
