import { setTimeout } from 'node:timers/promises';
import { isEnded } from '../../contract/progress-message.ts';
import type { Connector } from '../../generated/reconciler/v1/connectors.ts';
import { TemporalUnreachable } from '../../temporal/temporal-errors.ts';
import { inChunks } from '../core/in-chunks.ts';
import { type CatalogDeps, type JobDeps, jobDepsOf } from '../core/ports.ts';
import { releaseClaim } from '../store/connectors/claims.ts';
import { listConnectorsOfAllTenants, pendingAlertsOfAllTenants } from '../store/connectors/of-all-tenants.ts';
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
export function createLostJobs(deps: Pick<CatalogDeps, 'db' | 'jobsOf' | 'logger' | 'observeJobOf'>): { stop(): void } {
  const { db, logger } = deps;
  const stopped = new AbortController();
  void run();
  return { stop: () => stopped.abort() };

  async function run(): Promise<void> {
    while (!stopped.signal.aborted) {
      await round().catch(report);
      await setTimeout(EVERY_MS, undefined, { signal: stopped.signal, ref: false }).catch(() => undefined);
    }
  }

  function report(err: unknown): void {
    if (!stopped.signal.aborted && !(err instanceof TemporalUnreachable))
      logger.warn({ err }, 'jobs that were lost in Temporal cannot be looked for; retrying in half a minute');
  }

  async function round(): Promise<void> {
    for (let after: string | undefined, more = true; more && !stopped.signal.aborted; ) {
      const { items, last } = await listConnectorsOfAllTenants(db, PAGE, after);
      for (const tenant of new Set(items.map((item) => item.tenant))) {
        const owned = items.filter((item) => item.tenant === tenant);
        // A tenant whose namespace cannot be reached does not keep the others from being looked at.
        await endLostOf(
          jobDepsOf(deps, tenant),
          owned.map(({ connector }) => connector),
        ).catch(report);
      }
      after = last?.connector.connectorId;
      more = last !== undefined;
    }
    for (const { tenant, connectorId } of await pendingAlertsOfAllTenants(db)) {
      await sendPendingAlert(jobDepsOf(deps, tenant), connectorId);
    }
  }

  /** Ends the lost jobs of some connectors of a tenant. */
  async function endLostOf(ofTenant: JobDeps, connectors: readonly Connector[]): Promise<void> {
    const unfinished = new Set<string>();
    for (const { connectorId, runningJobId } of connectors) {
      if (runningJobId !== '') unfinished.add(runningJobId);
      for (const jobId of await unfinishedJobs(ofTenant.db, connectorId, JOBS_AT_ONCE)) unfinished.add(jobId);
    }
    const lost = new Set<string>();
    await inChunks([...unfinished], async (jobId) => {
      if ((await (await ofTenant.jobs()).describe(jobId)) === 'RUNNING') return;
      await endLost(ofTenant, jobId);
      lost.add(jobId);
    });
    for (const { connectorId, runningJobId } of connectors) {
      if (lost.has(runningJobId)) wakeNext(ofTenant, connectorId);
    }
  }

  async function endLost(ofTenant: JobDeps, jobId: string): Promise<void> {
    const { db } = ofTenant;
    if (await findJob(db, jobId)) {
      const { job } = await createJobStatus(ofTenant, () => false).refresh(jobId);
      if (!isEnded(job.state)) return;
    }
    // Its workflow may have closed after it recorded its end, but before it released the connector.
    await write(db, (trx) => releaseClaim(trx, jobId));
  }
}
