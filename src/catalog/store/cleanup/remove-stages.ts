import type { Kysely } from 'kysely';
import type { Schema } from '../database/schema.ts';
import { write } from '../database/transaction.ts';
import { freePosition } from '../lineage/lineage.ts';
import { DELETING_KEY, deleteMemberships, MARK_DELETING } from './delete-memberships.ts';
import type { Removed } from './removed.ts';

type Db = Kysely<Schema>;
interface Stage {
  snapshot_num: number;
  chain_num: number;
  ord: number;
  staged_at: number | null;
}

const NONE: Pick<Stage, 'staged_at' | 'snapshot_num'> = { staged_at: 0, snapshot_num: 0 };

/**
 * Removes what was staged for snapshots to which no stream has been opened since this time, because the job that did was ended. Snapshots
 * that readers do not see are removed with it; the others keep their metadata. What a job has staged that still runs, paused or not, stays.
 */
export async function* removeStages(db: Db, before: number, signal?: AbortSignal): AsyncGenerator<Removed> {
  for (let stage = await nextStage(db, before); stage; stage = await nextStage(db, before, stage)) {
    const { snapshot_num, chain_num: chain, ord } = stage;
    if (!(await write(db, (trx) => markDeleting(trx, stage as Stage)))) continue;
    await deleteMemberships(db, { chain, ord }, signal);
    // The next service continues, since its time stays.
    if (signal?.aborted) return;
    await write(db, async (trx) => {
      await trx
        .updateTable('snapshots')
        .set({ stage_key: null, staged_at: null })
        .where('snapshot_num', '=', snapshot_num)
        .where('stage_key', '=', DELETING_KEY)
        .where('published', 'is not', null)
        .execute();
      const { numDeletedRows } = await trx
        .deleteFrom('snapshots')
        .where('snapshot_num', '=', snapshot_num)
        .where('stage_key', '=', DELETING_KEY)
        .executeTakeFirst();
      if (numDeletedRows > 0n) await freePosition(trx, { chain, ord });
    });
    yield { stages: 1 };
  }
}

/** The next abandoned stage, in the order of `staged_at`. */
async function nextStage(db: Db, before: number, after = NONE): Promise<Stage | undefined> {
  return db
    .selectFrom('snapshots as s')
    .select(['s.snapshot_num', 's.chain_num', 's.ord', 's.staged_at'])
    .where('s.staged_at', '<=', before)
    .where(({ eb, refTuple, tuple }) =>
      eb(refTuple('s.staged_at', 's.snapshot_num'), '>', tuple(after.staged_at, after.snapshot_num)),
    )
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom('tables as t')
            .innerJoin('bindings as b', 'b.object_id', 't.table_id')
            .innerJoin('connectors as c', 'c.connector_id', 'b.connector_id')
            .innerJoin('jobs as j', (join) =>
              join.onRef('j.tenant_id', '=', 'c.tenant_id').onRef('j.job_id', '=', 'c.running_job_id'),
            )
            .select('j.job_id')
            .whereRef('t.table_num', '=', 's.table_num')
            .whereRef('j.started_at', '<=', 's.staged_at'),
        ),
      ),
    )
    .orderBy('s.staged_at')
    .orderBy('s.snapshot_num')
    .limit(1)
    .executeTakeFirst();
}

/** @returns false if a stream was opened meanwhile */
async function markDeleting(db: Db, { snapshot_num, staged_at }: Stage): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('snapshots')
    .set(MARK_DELETING)
    .where('snapshot_num', '=', snapshot_num)
    .where('complete', '=', 0)
    .where('staged_at', '=', staged_at)
    .executeTakeFirst();
  return numUpdatedRows > 0n;
}
