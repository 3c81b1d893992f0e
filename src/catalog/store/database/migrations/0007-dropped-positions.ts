import { type Kysely, type Migration, sql } from 'kysely';

const STATEMENTS = [
  `create table dropped_positions (
    chain_num bigint not null,
    ord bigint not null,
    table_num bigint not null,
    snapshot_id text not null,
    cleared integer not null,
    primary key (chain_num, ord))`,
  'create index dropped_positions_of_table on dropped_positions (table_num)',
  'create index dropped_positions_to_clear on dropped_positions (chain_num, ord) where cleared = 0',
  'create index snapshots_expired on snapshots (table_num, snapshot_num) where expired_at is not null',
];

/** Expired snapshots can be dropped though others are based on them. */
export const migration: Migration = {
  async up(db: Kysely<never>): Promise<void> {
    for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
  },
};
