import type { Logger } from 'pino';
import { countersOf, isEnded } from '../../contract/progress-message.ts';
import { JobState, jobStateToJSON } from '../../generated/reconciler/v1/jobs.ts';
import type { CatalogMetrics } from '../core/metrics.ts';
import type { ObserveJob } from '../core/ports.ts';

/** Logs when jobs start and end, and what failed in them. Updates the metrics if there are any. */
export function createJobObserver(logger: Logger, metrics: CatalogMetrics | undefined): (tenant: string) => ObserveJob {
  return (tenant) =>
    (before, after, failures = []) => {
      metrics?.recorded(tenant, before, after, failures);
      const fields = { tenant, job: after.jobId, connector: after.connectorName };
      if (before && isEnded(before.state)) {
        if (!isEnded(after.state)) logger.info(fields, 'the job was reset and continues');
        return;
      }
      if (after.state === JobState.JS_RUNNING && before?.state !== JobState.JS_RUNNING) {
        logger.info(fields, 'the job has started');
      }
      for (const { table, code, message } of failures) {
        logger.warn({ ...fields, table, code, reason: message }, 'part of the job failed after its retries');
      }
      if (!isEnded(after.state)) return;
      const { message } = after;
      const { tablesScanned, tablesChanged, errors, snapshotsIngested, filesIngested } = countersOf(after);
      const counters = { tablesScanned, tablesChanged, errors, snapshotsIngested, filesIngested };
      const numbers = Object.fromEntries(Object.entries(counters).map(([name, count]) => [name, Number(count)]));
      const state = jobStateToJSON(after.state);
      logger[after.state === JobState.JS_FAILED ? 'warn' : 'info'](
        { ...fields, state, ...numbers, message },
        'the job has ended',
      );
    };
}
