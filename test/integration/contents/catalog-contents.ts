import { setTimeout as sleep } from 'node:timers/promises';
import { Sqlite } from '../../../src/catalog/store/database/sqlite.ts';

/** What a dry run writes: its own record with its failures, its list, and the key that asked for it. */
const OWN = ['jobs', 'job_failures', 'job_changes', 'idempotency_keys'];

/** Every row of every table of a catalog's database but those of jobs themselves, once no job has a connector any more. */
export async function catalogContents(file: string): Promise<Record<string, unknown[]>> {
  const db = new Sqlite(file, { readonly: true });
  try {
    // A job has ended a moment before it gives its connector back.
    const held = db.prepare("select count(*) from connectors where running_job_id <> ''").pluck();
    while (held.get() !== 0) await sleep(50);
    const tables = db.prepare("select name from sqlite_master where type = 'table'").pluck().all() as string[];
    return Object.fromEntries(
      tables.filter((name) => !OWN.includes(name)).map((name) => [name, db.prepare(`select * from "${name}"`).all()]),
    );
  } finally {
    db.close();
  }
}
