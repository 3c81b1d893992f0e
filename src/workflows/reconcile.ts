import {
  ApplicationFailure,
  CancellationScope,
  CancelledFailure,
  ContinueAsNew,
  isCancellation,
  makeContinueAsNewFunc,
  patched,
  workflowInfo,
} from '@temporalio/workflow';
import type {
  Destination,
  MissingInput,
  MissingOutcome,
  ResolvedConnector,
  ViewsOutcome,
  WalkCursor,
} from '../contract/activities.ts';
import type { Progress, ReconcileRequest } from '../contract/job.ts';
import { addToChecksum, type NameChecksum, NO_NAMES } from '../contract/name-checksum.ts';
import type { TableRef } from '../contract/upstream-names.ts';
import { control, ingestOn, waitFor } from './activity-proxies.ts';
import { historyIsFull } from './history-limit.ts';
import { type IngestOptions, ingestPack, ingestSingly, inPacks } from './ingest-tables.ts';
import { type CarriedJob, Job } from './job.ts';
import { raiseAlert } from './raise-alert.ts';
import { Pool } from './task-pool.ts';
import { validateRequest } from './validate-request.ts';

/**
 * Past so many changed tables in a job they are packed: an activity a table kills histories at scale, and costs Temporal more
 * than a small table costs the catalog. Workflows that were begun when it was 200 go on with that.
 */
const SINGLE_TABLES = 20;
const SINGLE_TABLES_BEFORE = 200;
const PACK = 20;

/** The next run goes to the newest version of the workers, where they have versions; a run stays with the version that began it. */
const goOnAsNew = (request: ReconcileRequest, carried: Carried) =>
  makeContinueAsNewFunc<typeof reconcile>({ initialVersioningBehavior: 'AUTO_UPGRADE' })(request, carried);

/** Where a run goes on after continue-as-new. */
interface Carried {
  job: CarriedJob;
  destination: Destination;
  /** Absent where all pages were scanned. */
  cursor?: WalkCursor;
  /** The names of the tables listed so far. */
  listed: NameChecksum;
  /** As the last page said. */
  hasViews?: boolean;
  /** Tables that failed in a pack and were not run by themselves yet. At most a pack for each that runs in parallel. */
  again?: TableRef[];
}

/**
 * Reconciles one connector: brings what changed upstream into the catalog. The workflow id is the job id.
 *
 * Ends Failed where any table failed ('Partial failure (n): …'); what succeeded stays.
 */
export async function reconcile(request: ReconcileRequest, carried?: Carried): Promise<Progress> {
  validateRequest(request);
  const job = new Job(request, carried?.job);
  let connector = carried?.job.connector;
  try {
    if (!connector) {
      connector = await control.resolveConnector(request);
      job.resolved(connector);
      await claimConnector(job, connector);
    }
    const { connectorId } = connector;
    const { dryRun } = request;
    const destination = carried?.destination ?? (await control.ensureDestination({ connectorId, dryRun }));

    const { before, ...resolved } = destination;
    const narrowed = request.scope !== undefined || request.retryOf !== undefined;
    if (before?.tables && !narrowed) job.progress.tablesExpected = before.tables;

    const { hasViews, listed } = await ingestChangedTables(request, job, connector, destination, carried);
    const viewsListed = hasViews && (await ingestViews(request, job, connector));

    const { tablesScanned, tablesFiltered, viewsScanned, errors } = job.progress;
    const nothing = tablesScanned === 0 && !viewsScanned && errors === 0;
    if (nothing && !request.allowMissing) {
      throw ApplicationFailure.nonRetryable(nothingFound(request, tablesFiltered), 'NOT_FOUND');
    }
    if (!narrowed) {
      job.phase('looking for tables that are gone');
      const { allowMissing, mode } = request;
      const missing = { connectorId, refused: job.refused, allowMissing, mode, dryRun };
      await markMissing(job, { ...missing, listed, viewsListed, before: before?.tables });
      if (viewsListed) await markMissing(job, { ...missing, views: true, before: before?.views });
      if (connector.drops) {
        job.phase('dropping what is gone');
        const { refused } = job;
        const gone = { connectorId, refused, views: viewsListed, mode, dryRun };
        job.dropped(await job.pauseGate.whileActive(() => ingestOn(job).dropGone(gone)));
      }
    }
    if (!dryRun) await control.bindDestination({ connectorId, ...resolved });
    job.finish(job.progress.errors > 0 ? 'JS_FAILED' : 'JS_SUCCEEDED');
  } catch (error) {
    if (error instanceof ContinueAsNew) throw error;
    // A step may fail of itself after the cancel, for its connector is being deleted: cancelled it is all the same.
    const cancelled = isCancellation(error) || CancellationScope.current().consideredCancelled;
    if (!cancelled) job.failed('', error);
    job.finish(cancelled ? 'JS_CANCELLED' : 'JS_FAILED');
    await end(job, connector);
    if (cancelled) throw isCancellation(error) ? error : new CancelledFailure(job.message);
    throw ApplicationFailure.nonRetryable(job.message, 'RECONCILE_FAILED');
  }
  await end(job, connector);
  if (job.progress.state === 'JS_FAILED') throw ApplicationFailure.nonRetryable(job.message, 'PARTIAL_FAILURE');
  return job.progress;
}

/** Takes the connector, waiting as JS_QUEUED while another job has it. */
async function claimConnector(job: Job, { connectorId }: ResolvedConnector): Promise<void> {
  job.phase('waiting for the connector');
  await record(job);
  await waitFor.claimConnector({ connectorId, jobId: job.id });
  job.start();
}

/**
 * Pages through the upstream's tables; each page's changed ones are ingested while the next pages are scanned.
 *
 * @returns whether there are views to bring in, as the worker that scanned the last page says; and the names of the tables listed
 */
async function ingestChangedTables(
  request: ReconcileRequest,
  job: Job,
  { connectorId, maxParallel }: ResolvedConnector,
  destination: Carried['destination'],
  carried?: Carried,
): Promise<{ hasViews: boolean; listed: NameChecksum }> {
  const { full = false, scope, snapshots, mode, retryOf, dryRun } = request;
  const options: IngestOptions = { connectorId, full, scope, snapshots, mode, dryRun };
  const pool = new Pool(maxParallel);
  let { cursor, hasViews = false, listed } = carried ?? { listed: NO_NAMES };
  const left: TableRef[] = [];
  const goOn = async (): Promise<never> => {
    await pool.drain();
    await record(job);
    return goOnAsNew(request, {
      job: job.carry(),
      destination,
      cursor,
      listed,
      hasViews,
      again: left,
    });
  };
  try {
    for (const tables of inPacks(carried?.again ?? [], PACK)) {
      await pool.add(() => ingestSingly(job, pool, options, tables, left));
    }
    while (!carried || cursor) {
      job.phase(retryOf ? `trying again what failed in ${retryOf}` : 'scanning and ingesting tables');
      const page = await job.pauseGate.whileActive(async () => {
        const written = job.record();
        const scanned = await ingestOn(job).scanTables({ ...options, retryOf, cursor, record: written });
        job.recorded(written);
        return scanned;
      });
      job.progress.tablesScanned += page.scanned;
      job.progress.tablesUnchanged += page.unchanged;
      job.progress.tablesFiltered += page.filtered;
      job.asked(page.upstreamRequests);
      for (const refused of page.refused ?? []) job.refusal(refused);
      listed = addToChecksum(listed, page.listed);

      const changed = job.progress.tablesScanned - job.progress.tablesUnchanged;
      const packed =
        changed > SINGLE_TABLES_BEFORE || (changed > SINGLE_TABLES && page.changed.length > 0 && patched('pack-early'));
      for (const tables of inPacks(page.changed, packed ? PACK : 1)) {
        await pool.add(() => ingestPack(job, pool, options, tables, left));
      }
      cursor = page.cursor;
      hasViews = page.hasViews ?? false;
      if (!cursor) break;
      // Older workflows wait for the suggestion.
      if (workflowInfo().continueAsNewSuggested || historyIsFull()) await goOn();
    }
    await pool.drain();
    if (left.length > 0) await goOn();
  } finally {
    // Nothing may still be written when the connector is released: not after a failed scan, nor after a cancel, which
    // ends the tables in flight.
    await CancellationScope.nonCancellable(() => pool.drain());
  }
  // A cancel that came while the last tables were in flight.
  const cancellation = CancellationScope.current();
  if (cancellation.consideredCancelled) await cancellation.cancelRequested;
  // A workflow that was begun by a worker which knew no views goes on without them.
  return { hasViews: hasViews && patched('views'), listed };
}

/**
 * Brings in the upstream's views. A view's failure is counted, and so is that of the whole step: the tables are in.
 *
 * @returns whether they were listed
 */
async function ingestViews(request: ReconcileRequest, job: Job, { connectorId }: ResolvedConnector): Promise<boolean> {
  job.phase('bringing in views');
  try {
    const { full = false, scope, mode, retryOf, dryRun } = request;
    let cursor: ViewsOutcome['cursor'];
    do {
      cursor = await job.pauseGate.whileActive(async () => {
        const written = job.record();
        const input = {
          connectorId,
          full,
          scope,
          mode,
          retryOf,
          dryRun,
          cursor: cursor as WalkCursor | undefined,
          record: written,
        };
        const outcome = await ingestOn(job).reconcileViews(input);
        job.addIngestedViews(outcome);
        job.recorded(written);
        return outcome.cursor;
      });
    } while (cursor);
    return true;
  } catch (error) {
    if (isCancellation(error)) throw error;
    job.failed('views', error);
    return false;
  }
}

/** Marks what is gone upstream. */
async function markMissing(job: Job, input: MissingInput): Promise<void> {
  // Older histories have just the number.
  const outcome: MissingOutcome | number = await job.pauseGate.whileActive(() => ingestOn(job).reconcileMissing(input));
  job.missing(typeof outcome === 'number' ? { marked: outcome } : outcome, input.views);
}

/** Writes the job's last record, raises its alert and gives the connector back, also when the job was cancelled. */
async function end(job: Job, connector: ResolvedConnector | undefined): Promise<void> {
  await CancellationScope.nonCancellable(async () => {
    try {
      await record(job);
      // Older histories know of none.
      if (connector?.alerts) await raiseAlert(job.id, connector);
    } finally {
      if (connector) await control.releaseConnector({ connectorId: connector.connectorId, jobId: job.id });
    }
  });
}

/** Writes the job's record, with all failures that are not written yet. */
async function record(job: Job): Promise<void> {
  do {
    const next = job.record();
    await control.recordJob(next);
    job.recorded(next);
  } while (job.hasUnrecorded);
}

function nothingFound({ scope, mode, retryOf }: ReconcileRequest, filtered: number): string {
  if (retryOf) return `Nothing that failed in job ${retryOf} is taken by the connector any more.`;
  if (scope) return `No table of the connector is in the scope ${JSON.stringify(scope).slice(0, 300)}.`;
  if (filtered === 0)
    return 'No table found. Check the URI and the source namespace; if all tables are gone on purpose, trigger it with --allow-missing.';
  return mode === 'CAPTURE_ONLY'
    ? `The catalog has none of the ${filtered} tables that are there. Bring them in with another mode: this one only captures what is in.`
    : `The connector's patterns take none of the ${filtered} tables that are there. Check its include and exclude patterns.`;
}
