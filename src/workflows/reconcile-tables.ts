import { CancellationScope, makeContinueAsNewFunc } from '@temporalio/workflow';
import type { Destination, ScanPage, WalkCursor } from '../contract/activities.ts';
import { addToChecksum, type NameChecksum, NO_NAMES } from '../contract/name-checksum.ts';
import type { TableRef } from '../contract/upstream-names.ts';
import { ingestOn } from './activity-proxies.ts';
import { historyIsFull } from './history-limit.ts';
import { TableIngest } from './ingest-tables.ts';
import { recordJob } from './job/end-job.ts';
import { type CarriedRun, type Reconcile, type Run, readOptions } from './run.ts';
import { Pool } from './task-pool.ts';

/**
 * A job with more changed tables than this packs them. One activity per table makes histories too large at scale, and costs Temporal
 * more than a small table costs the catalog.
 */
const MAX_SINGLE_TABLES = 20;
const PACK_SIZE = 20;

/** A run stays with the worker version that began it; the next one moves to the current version, if workers have versions. */
const continueAsNew = makeContinueAsNewFunc<Reconcile>({ initialVersioningBehavior: 'AUTO_UPGRADE' });

/**
 * Pages through the upstream's tables and ingests the changed ones of each page while the next page is scanned. Continues as new
 * when the history is full.
 *
 * @returns whether the upstream has views to ingest; and the names of the tables that were listed
 */
export async function reconcileTables(
  run: Run,
  destination: Destination,
  carried: CarriedRun | undefined,
): Promise<{ hasViews: boolean; listed: NameChecksum }> {
  const { job } = run;
  const pool = new Pool(run.connector.maxParallel);
  const ingest = new TableIngest(run, pool);
  let { cursor, hasViews, listed, postponed }: Omit<CarriedRun, 'job' | 'destination'> = carried ?? {
    hasViews: false,
    listed: NO_NAMES,
    postponed: [],
  };
  const continueInNextRun = async (): Promise<never> => {
    await pool.drain();
    await recordJob(job);
    const carry = { job: job.carry(), destination, cursor, hasViews, listed, postponed: ingest.postponed };
    return continueAsNew(run.request, carry);
  };
  try {
    for (const tables of packsOf(postponed, PACK_SIZE)) await pool.add(() => ingest.singly(tables));
    while (!carried || cursor) {
      const page = await scanPage(run, cursor);
      job.addPage(page);
      listed = addToChecksum(listed, page.listed);
      for (const tables of packsOf(page.changed, packSize(run))) await pool.add(() => ingest.pack(tables));
      ({ cursor, hasViews = false } = page);
      if (!cursor) break;
      if (historyIsFull()) await continueInNextRun();
    }
    await pool.drain();
    if (ingest.postponed.length > 0) await continueInNextRun();
  } finally {
    // Nothing may still be written when the connector is released, neither after a failed scan nor after a cancel.
    await CancellationScope.nonCancellable(() => pool.drain());
  }
  return { hasViews, listed };
}

async function scanPage(run: Run, cursor: WalkCursor | undefined): Promise<ScanPage> {
  const { job, request, connector, gate } = run;
  const { retryOf } = request;
  job.enterPhase(retryOf ? `trying again what failed in ${retryOf}` : 'scanning and ingesting tables');
  return gate.whileActive(async () => {
    const record = job.record();
    const page = await ingestOn(connector).scanTables({ ...readOptions(run), retryOf, cursor, record });
    job.recorded(record);
    return page;
  });
}

/** After a page: how many tables an activity ingests. */
function packSize({ job }: Run): number {
  const { tablesScanned = 0, tablesUnchanged = 0 } = job.progress.counters;
  const changed = tablesScanned - tablesUnchanged;
  return changed > MAX_SINGLE_TABLES ? PACK_SIZE : 1;
}

function packsOf(tables: TableRef[], size: number): TableRef[][] {
  const count = Math.ceil(tables.length / size);
  return Array.from({ length: count }, (_, i) => tables.slice(i * size, (i + 1) * size));
}
