import { isCancellation } from '@temporalio/workflow';
import type { WalkCursor } from '../contract/activities.ts';
import { ingestOn } from './activity-proxies.ts';
import { type Run, readOptions } from './run.ts';

/**
 * Ingests the upstream's views. If a view fails, or the step as a whole, that is counted and the job goes on: the tables are done.
 *
 * @returns whether the views were listed
 */
export async function reconcileViews(run: Run): Promise<boolean> {
  const { job, request, connector, gate } = run;
  job.enterPhase('ingesting views');
  try {
    const { snapshots: _, ...options } = readOptions(run);
    let cursor: WalkCursor | undefined;
    do {
      const outcome = await gate.whileActive(async () => {
        const record = job.record();
        const input = { ...options, retryOf: request.retryOf, cursor, record };
        const views = await ingestOn(connector).reconcileViews(input);
        job.recorded(record);
        return views;
      });
      job.addViews(outcome);
      cursor = outcome.cursor;
    } while (cursor);
    return true;
  } catch (error) {
    if (isCancellation(error)) throw error;
    job.fail('views', error);
    return false;
  }
}
