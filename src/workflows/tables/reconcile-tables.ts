import { CancellationScope, condition } from '@temporalio/workflow';
import type { ScanPage } from '../../contract/activities.ts';
import { addToChecksum } from '../../contract/name-checksum.ts';
import type { TableRef } from '../../contract/upstream-names.ts';
import { scanOn } from '../activity-proxies.ts';
import { isNarrowed, type Run, readOptions } from '../run.ts';
import { IngestLanes } from './ingest-lanes.ts';

/**
 * A job with more changed tables than this packs them. One activity per table makes histories too large at scale, and costs Temporal
 * more than a small table costs the catalog.
 */
const MAX_SINGLE_TABLES = 20;
const MAX_PACK = 50;
/** How long one page is scanned. */
const PAGE_SECONDS = 60;
/** The first one: so that something is counted soon. */
const FIRST_PAGE_SECONDS = 10;

/**
 * Pages through the upstream's tables and ingests the changed ones of each page while the next page is scanned. Continues as new when the
 * history is full.
 */
export async function reconcileTables(run: Run): Promise<void> {
  const { place, gate, controls } = run;
  if (place.tablesDone) return;
  const lanes = new IngestLanes(run);
  const { onChange } = controls;
  controls.onChange = () => {
    onChange();
    lanes.update();
  };
  try {
    lanes.add(place.queue);
    for (;;) {
      await scanPages(run, lanes);
      await condition(() => lanes.isDone || (lanes.isIdle && !lanes.mayBegin()));
      if (place.tablesListed && lanes.isDone) break;
      place.queue = lanes.queued;
      await gate.untilOpen();
      if (lanes.look()) await run.continueAsNew();
      lanes.update();
    }
  } finally {
    lanes.stop();
    controls.onChange = onChange;
    // Nothing may still be written when the connector is released, neither after a failed scan nor after a cancel.
    await CancellationScope.nonCancellable(() => condition(() => lanes.isIdle));
  }
  place.queue = [];
  place.tablesDone = true;
}

/** Scans pages as fast as the lanes take their tables, as long as anything may begin. */
async function scanPages(run: Run, lanes: IngestLanes): Promise<void> {
  const { place, gate, job } = run;
  const { retryOf } = run.request;
  while (!place.tablesListed) {
    await condition(() => lanes.hasRoom || !lanes.mayBegin());
    if (!lanes.mayBegin()) return;
    job.enterPhase(retryOf ? `trying again what failed in ${retryOf}` : 'scanning and ingesting tables');
    try {
      const page = await scanPage(run);
      lanes.add(packsOf(page.changed, packSize(run, page, lanes)));
    } catch (error) {
      if (!gate.closes(error)) throw error;
    }
  }
}

async function scanPage(run: Run): Promise<ScanPage> {
  const { place, job, request, gate } = run;
  const step = job.begin();
  let page: ScanPage | undefined;
  try {
    const record = job.record();
    const { scanTables } = scanOn(run.connector, place.cursor ? 'scans more tables' : 'scans tables');
    page = await scanTables({
      ...readOptions(run),
      ...{ step, record, cursor: place.cursor, retryOf: request.retryOf },
      sliceSeconds: place.cursor ? PAGE_SECONDS : FIRST_PAGE_SECONDS,
      listed: isNarrowed(request) ? undefined : place.tables,
    });
    gate.served('scanTables');
    job.recorded(record);
  } finally {
    job.end(step, page?.counts);
  }
  const { cursor, listed, refused = [], hasViews, nothingGone } = page;
  if (refused.length > 0) job.hasRefusedNamespaces = true;
  job.addFailures(refused);
  place.tables = addToChecksum(place.tables, listed);
  place.cursor = cursor;
  if (!cursor) place.tablesListed = true;
  place.hasViews = hasViews;
  place.noTableGone = nothingGone;
  return page;
}

/** After a page: how many tables an activity ingests. All lanes get some, and none much more than its share. */
function packSize({ job }: Run, { changed }: ScanPage, { limit }: IngestLanes): number {
  const { tablesScanned = 0, tablesUnchanged = 0 } = job.counters;
  if (tablesScanned - tablesUnchanged <= MAX_SINGLE_TABLES) return 1;
  return Math.min(MAX_PACK, Math.max(2, Math.ceil(changed.length / limit)));
}

function packsOf(tables: TableRef[], size: number): TableRef[][] {
  const count = Math.ceil(tables.length / size);
  return Array.from({ length: count }, (_, i) => tables.slice(i * size, (i + 1) * size));
}
