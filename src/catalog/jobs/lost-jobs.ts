import { setTimeout } from 'node:timers/promises';
import { inChunks } from '../core/in-chunks.ts';
import type { ServiceDeps } from '../core/ports.ts';
import { listConnectors } from '../store/connectors/connectors.ts';
import { unfinishedJobs } from '../store/jobs/jobs.ts';
import { createJobStatus } from './job-status.ts';

const EVERY_MS = 60_000;
const PAGE = 100;
/** Jobs per connector that are checked in one round. */
const JOBS_AT_ONCE = 100;

/**
 * Finds jobs whose workflows closed in Temporal without recording their end (terminated, timed out) or were never started, and marks them
 * as ended. Metrics and alerts depend on the records, so this does not wait until somebody requests a job. The first round starts
 * immediately, because workflows may have closed while the catalog was down.
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
        if (!stopped.signal.aborted)
          logger.warn({ err }, 'jobs that were lost in Temporal cannot be looked for; retrying in a minute');
      });
      await setTimeout(EVERY_MS, undefined, { signal: stopped.signal, ref: false }).catch(() => undefined);
    }
  }

  async function round(): Promise<void> {
    for (let after: string | undefined, more = true; more && !stopped.signal.aborted; ) {
      const connectors = await listConnectors(db, PAGE, after);
      const unfinished: string[] = [];
      for (const { connectorId } of connectors)
        unfinished.push(...(await unfinishedJobs(db, connectorId, JOBS_AT_ONCE)));
      await inChunks(unfinished, async (jobId) => {
        if ((await (await jobs()).describe(jobId)) !== 'RUNNING') await refresh(jobId);
      });
      after = connectors.at(-1)?.displayName;
      more = connectors.length === PAGE;
    }
  }
}
