import { type Kysely, type Migration, sql } from 'kysely';

/** Changes of a dry run are found by what they would be called: no two may want one name. */
export const migration: Migration = {
  async up(db: Kysely<never>): Promise<void> {
    await sql.raw('create index job_changes_of_destination on job_changes (job_id, destination)').execute(db);
  },
};
