import { setTimeout } from 'node:timers/promises';
import { isEnded } from '../../contract/progress-message.ts';
import { TemporalUnreachable } from '../../temporal/temporal-errors.ts';
import { inChunks } from '../core/in-chunks.ts';
import type { ServiceDeps } from '../core/ports.ts';
import { pendingAlerts } from '../store/connectors/alerts.ts';
import { releaseClaim } from '../store/connectors/claims.ts';
import { listConnectors } from '../store/connectors/connectors.ts';
import { write } from '../store/database/transaction.ts';
import { findJob, unfinishedJobs } from '../store/jobs/jobs.ts';
import { createJobStatus } from './job-status.ts';
import { sendPendingAlert } from './pending-alert.ts';
import { wakeNext } from './wake.ts';

/** How long a job that waits for its connector may have to wait for one that was terminated. */
const EVERY_MS = 30_000;
const PAGE = 100;
/** Jobs per connector that are checked in one round, in addition to the one that has the connector. */
const JOBS_AT_ONCE = 100;

/**
 * Finds jobs whose workflows closed in Temporal without recording their end (terminated, timed out) or were never started, and marks them
 * as ended. Also sends alerts that nobody has sent. Metrics, alerts and the jobs that wait for them depend on it, so this does not wait until somebody requests a job. The first
 * round starts immediately, because workflows may have closed while the catalog was down.
 */
export function createLostJobs(deps: Pick<ServiceDeps, 'db' | 'jobs' | 'logger' | 'observeJob'>): { stop(): void } {
  const { db, jobs, logger } = deps;
  const { refresh } = createJobStatus(deps, () => false);
  const stopped = new AbortController();
  void run();
  return { stop: () => stopped.abort() };

  async function run(): Promise<void> {
    while (!stopped.signal.aborted) {
      await round().catch((err) => {
        if (!stopped.signal.aborted && !(err instanceof TemporalUnreachable))
          logger.warn({ err }, 'jobs that were lost in Temporal cannot be looked for; retrying in half a minute');
      });
      await setTimeout(EVERY_MS, undefined, { signal: stopped.signal, ref: false }).catch(() => undefined);
    }
  }

  async function round(): Promise<void> {
    for (let after: string | undefined, more = true; more && !stopped.signal.aborted; ) {
      const { items: connectors, last } = await listConnectors(db, PAGE, after);
      const unfinished = new Set<string>();
      for (const { connectorId, runningJobId } of connectors) {
        if (runningJobId !== '') unfinished.add(runningJobId);
        for (const jobId of await unfinishedJobs(db, connectorId, JOBS_AT_ONCE)) unfinished.add(jobId);
      }
      const lost = new Set<string>();
      await inChunks([...unfinished], async (jobId) => {
        if ((await (await jobs()).describe(jobId)) === 'RUNNING') return;
        await endLost(jobId);
        lost.add(jobId);
      });
      for (const { connectorId, runningJobId } of connectors) {
        if (lost.has(runningJobId)) wakeNext(deps, connectorId);
      }
      after = last?.displayName;
      more = last !== undefined;
    }
    for (const connectorId of await pendingAlerts(db)) await sendPendingAlert(deps, connectorId);
  }

  async function endLost(jobId: string): Promise<void> {
    if (await findJob(db, jobId)) {
      const { job } = await refresh(jobId);
      if (!isEnded(job.state)) return;
    }
    // Its workflow may have closed after it recorded its end, but before it released the connector.
    await write(db, (trx) => releaseClaim(trx, jobId));
  }
}
