import { type Kysely, type Migration, sql } from 'kysely';

const STATEMENTS = [
  `alter table jobs add column trigger_kind text not null default 'JOB_TRIGGER_UNSPECIFIED'`,
  `alter table jobs add column mode text not null default ''`,
  'alter table jobs add column dry_run integer not null default 0',
  'alter table jobs add column paused integer not null default 0',
  `alter table jobs add column request_json text not null default ''`,
  `alter table jobs add column retry_of_job_id text not null default ''`,
  `alter table job_failures add column kind text not null default 'JOB_FAILURE_KIND_UNSPECIFIED'`,
  `create table job_changes (
    job_id text not null,
    kind text not null,
    name text not null,
    destination text not null,
    action text not null,
    reason text not null,
    primary key (job_id, kind, name)
  )`,
  'create index jobs_waiting on jobs (connector_id, state, created_at)',
];

/** Jobs tell what started them and what they were asked for; dry runs list what they would do. */
export const migration: Migration = {
  async up(db: Kysely<never>): Promise<void> {
    for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
  },
};
