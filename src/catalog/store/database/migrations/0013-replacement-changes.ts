import { type Kysely, type Migration, sql } from 'kysely';

/** A replacing stream keeps only the changes that differ, in batches. In Postgres, `blob` is `bytea`. */
export const migration: Migration = {
  async up(db: Kysely<never>): Promise<void> {
    await sql.raw('drop table replacement_files').execute(db);
    await sql
      .raw(
        `create table replacement_changes (
          stream_id text not null,
          batch integer not null,
          changes blob not null,
          primary key (stream_id, batch))`,
      )
      .execute(db);
  },
};
