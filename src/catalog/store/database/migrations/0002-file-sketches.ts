import { type Kysely, type Migration, sql } from 'kysely';

// As in 0001: in Postgres `bytea`.
const BLOB = 'blob';

const STATEMENTS = [
  // One row a file, for all its columns: sketches come and go with their file.
  `create table file_sketches (
    file_num bigint primary key,
    unreadable text not null,
    columns_key text not null,
    body ${BLOB} not null)`,
  `create table derived_ndv (
    snapshot_num bigint not null,
    column_id integer not null,
    table_num bigint not null,
    body ${BLOB} not null,
    primary key (snapshot_num, column_id))`,
  `create index derived_ndv_of_table on derived_ndv (table_num)`,
  `alter table table_contents add column sketched bigint not null default 0`,
];

/** Sketches of files' columns, from which numbers of distinct values are derived. */
export const migration: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
  },
};
