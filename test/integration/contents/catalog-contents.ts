import { setTimeout as sleep } from 'node:timers/promises';
import { Sqlite } from '../../../src/catalog/store/database/sqlite.ts';

/**
 * The tables that a dry run writes: its own record, its failures, its list of changes, its idempotency key, and what it could mark as missing.
 * And what changes by itself: when a token was used, events of the audit, and the clock.
 */
const OWN = [
  ...['jobs', 'job_runs', 'job_failures', 'job_changes', 'idempotency_keys', 'missing_counts'],
  ...['tokens', 'audit_events', 'clock_periods'],
];
/** Which job and run have claimed a connector, and how often. */
const CLAIM = ['claim_epoch', 'claim_run_id'];

/** Waits until no job holds a connector, and reads all rows of the catalog's database except the records of jobs. */
export async function catalogContents(file: string): Promise<Record<string, unknown[]>> {
  const db = new Sqlite(file, { readonly: true });
  try {
    // A job's end is recorded a moment before its connector is released.
    const held = db.prepare("select count(*) from connectors where running_job_id <> ''").pluck();
    while (held.get() !== 0) await sleep(50);
    const tables = db.prepare("select name from sqlite_master where type = 'table'").pluck().all() as string[];
    return Object.fromEntries(
      tables
        .filter((name) => !OWN.includes(name))
        .map((name) => [name, db.prepare(`select * from "${name}"`).all().map(withoutClaim)]),
    );
  } finally {
    db.close();
  }
}

function withoutClaim(row: unknown): unknown {
  return Object.fromEntries(Object.entries(row as object).filter(([column]) => !CLAIM.includes(column)));
}
