import { sql } from 'kysely';
import type { Scoped } from '../database/scoped.ts';

/** Rows of a table per transaction. */
export const ROWS = 1000;

/** The keys of the tables whose rows belong to jobs. */
const KEYS = {
  job_failures: ['tenant_id', 'job_id', 'table_name'],
  job_changes: ['tenant_id', 'job_id', 'kind', 'name'],
  job_outcomes: ['tenant_id', 'job_id', 'kind', 'name', 'step'],
} as const;

/** Removes up to `ROWS` rows of these jobs from a table. @returns how many were removed */
export async function removeRowsOfJobs(db: Scoped, table: keyof typeof KEYS, jobs: readonly string[]): Promise<number> {
  const key = sql.join(KEYS[table].map((column) => sql.ref(column)));
  const { numAffectedRows } = await sql`delete from ${sql.table(table)} where (${key}) in (
    select ${key} from ${sql.table(table)} where tenant_id = ${db.tenant} and job_id in (${sql.join(jobs)}) limit ${ROWS})`.execute(
    db,
  );
  return Number(numAffectedRows);
}
