import { ContinueAsNew, isCancellation } from '@temporalio/workflow';
import type { ViewsOutcome } from '../contract/activities.ts';
import { addToChecksum } from '../contract/name-checksum.ts';
import { scanOn } from './activity-proxies.ts';
import { HistoryLimit } from './history-limit.ts';
import { isNarrowed, type Run, readOptions } from './run.ts';

const SLICE_SECONDS = 60;

/** Ingests the upstream's views. If a view fails, or the step as a whole, that is counted and the job goes on: the tables are done. */
export async function reconcileViews(run: Run): Promise<void> {
  const { job, gate, place } = run;
  if (!place.hasViews || place.viewsDone) return;
  job.enterPhase('ingesting views');
  const history = new HistoryLimit();
  try {
    do {
      const outcome = await gate.pass('reconcileViews', () => ingestViews(run));
      if (outcome.refused) job.hasRefusedNamespaces = true;
      job.keep(outcome.failures);
      place.views = addToChecksum(place.views, outcome.listed);
      place.viewsCursor = outcome.cursor;
      place.noViewGone = outcome.nothingGone;
      if (place.viewsCursor && history.look()) await run.continueAsNew();
    } while (place.viewsCursor);
    place.viewsListed = true;
  } catch (error) {
    if (isCancellation(error) || error instanceof ContinueAsNew || gate.hasGivenUp) throw error;
    job.fail('views', error);
  }
  place.viewsDone = true;
}

async function ingestViews(run: Run): Promise<ViewsOutcome> {
  const { job, place, request } = run;
  const step = job.begin();
  let outcome: ViewsOutcome | undefined;
  try {
    const { snapshots: _, ...options } = readOptions(run);
    const record = job.record();
    const { reconcileViews } = scanOn(run.connector, 'ingests views');
    outcome = await reconcileViews({
      ...options,
      ...{ step, record, sliceSeconds: SLICE_SECONDS, retryOf: request.retryOf, cursor: place.viewsCursor },
      listed: isNarrowed(request) ? undefined : place.views,
    });
    job.recorded(record);
    return outcome;
  } finally {
    job.end(step, outcome?.counts);
  }
}
