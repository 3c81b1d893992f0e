import { Kysely, SqliteDialect } from 'kysely';
import { UNFINISHED } from '../../../contract/fingerprints.ts';
import { newServiceId } from '../../identity/ids.ts';
import { migrate } from '../database/migrate.ts';
import type { Schema } from '../database/schema.ts';
import { catalogIdOf } from '../database/service.ts';
import { Sqlite } from '../database/sqlite.ts';
import { write } from '../database/transaction.ts';

/**
 * Migrates a copy of a backup to this version, and marks in it what the time since the backup has made uncertain:
 *
 * - Each connector is unverified until a job has verified all its tables in full, and no table or view counts as unchanged before a job has
 *   read it: a state with the same fingerprint may since have been stored, and lost.
 * - No job has a connector. One that runs in Temporal claims it again, and finds that the catalog was restored.
 *
 * @returns the id of the restored catalog
 */
export async function markRestored(
  copy: string,
  { file, newIdentity }: { file: string; newIdentity: boolean },
): Promise<string> {
  const database = new Sqlite(copy);
  database.pragma('foreign_keys = on');
  const db = new Kysely<Schema>({ dialect: new SqliteDialect({ database }) });
  try {
    await migrate(db as never, file);
    const restored_at = Date.now();
    return await write(db, async (trx) => {
      const identity = newIdentity ? { catalog_id: newServiceId() } : {};
      await trx
        .updateTable('service')
        .set({ restored_at, ...identity })
        .execute();
      await trx
        .updateTable('connectors')
        .set(({ eb }) => ({
          unverified_since: restored_at,
          running_job_id: '',
          claim_run_id: '',
          claim_epoch: eb('claim_epoch', '+', 1),
        }))
        .execute();
      // Empty: the object was never read completely.
      await trx.updateTable('bindings').set({ fingerprint: UNFINISHED }).where('fingerprint', '<>', '').execute();
      return catalogIdOf(trx);
    });
  } finally {
    await db.destroy();
  }
}
