import { setImmediate } from 'node:timers/promises';
import type { Kysely } from 'kysely';
import type { Logger } from 'pino';
import { underClaim } from '../database/claim-fence.ts';
import type { Schema } from '../database/schema.ts';
import { write } from '../database/transaction.ts';
import { nextToReclaim, reclaimDropped } from './reclaim-dropped.ts';

type Db = Kysely<Schema>;

/** Files per transaction: some milliseconds, between which other calls are served. */
const STEP = 1000;

/**
 * Purges the contents of tables that were deleted or recreated, and reclaims files that only dropped snapshots held, in small
 * transactions. It runs after each `kick`; the first one also finds what a stopped service left.
 */
export function createPurge(db: Db, logger: Logger) {
  let running: Promise<void> | undefined;
  let again = false;
  let stopped = false;

  async function run(): Promise<void> {
    do {
      again = false;
      for (let next = await nextDropped(db); next !== undefined && !stopped; next = await nextDropped(db)) {
        while (!stopped && (await write(db, (trx) => purgeStep(trx, next as number)))) await setImmediate();
      }
      for (
        let position = await nextToReclaim(db);
        position !== undefined && !stopped;
        position = await nextToReclaim(db)
      ) {
        await reclaimDropped(db, position, () => stopped);
      }
    } while (again && !stopped);
  }

  return {
    kick(): void {
      again = true;
      // The purge outlives the call that starts it, and so is not bound to the claim of that call.
      running ??= underClaim(undefined, run)
        .catch((err) =>
          logger.error(
            { err },
            'contents of deleted tables and dropped snapshots could not be purged; the next deletion tries again',
          ),
        )
        .finally(() => {
          running = undefined;
        });
    },
    async stop(): Promise<void> {
      stopped = true;
      await running;
    },
  };
}

async function nextDropped(db: Db): Promise<number | undefined> {
  const row = await db
    .selectFrom('table_contents')
    .select('table_num')
    .where('dropped', '=', 1)
    .limit(1)
    .executeTakeFirst();
  return row?.table_num;
}

/** Purges some of a table's contents. @returns false when nothing is left */
async function purgeStep(db: Db, tableNum: number): Promise<boolean> {
  const files = await db.selectFrom('files').select('file_num').where('table_num', '=', tableNum).limit(STEP).execute();
  if (files.length > 0) {
    const nums = files.map((file) => file.file_num);
    await db.deleteFrom('memberships').where('file_num', 'in', nums).execute();
    await db.deleteFrom('branch_removals').where('file_num', 'in', nums).execute();
    await db.deleteFrom('file_sketches').where('file_num', 'in', nums).execute();
    await db.deleteFrom('files').where('file_num', 'in', nums).execute();
    return true;
  }
  const ofTable = db.selectFrom('snapshots').select('snapshot_num').where('table_num', '=', tableNum);
  await db.deleteFrom('put_columns').where('snapshot_num', 'in', ofTable).execute();
  for (const name of [
    'column_states',
    'derived_ndv',
    'snapshots',
    'dropped_positions',
    'chains',
    'table_schemas',
    'table_contents',
  ] as const) {
    await db.deleteFrom(name).where('table_num', '=', tableNum).execute();
  }
  return false;
}
