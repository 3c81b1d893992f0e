import { setTimeout } from 'node:timers/promises';
import { inChunks } from '../core/in-chunks.ts';
import type { ServiceDeps } from '../core/ports.ts';
import { listConnectors } from '../store/connectors/connectors.ts';
import { unfinishedJobs } from '../store/jobs/jobs.ts';
import { createJobStatus } from './job-status.ts';

const EVERY_MS = 60_000;
const PAGE = 100;
/** Of a connector, looked at in one round. */
const JOBS_AT_ONCE = 100;

/**
 * Brings to their end the jobs that ended in Temporal without a word (terminated, timed out, never started), also where nobody asks about
 * them: metrics and alerts go by the records. Begins at once: while the catalog was away, some may have.
 */
export function createLostJobs(deps: Pick<ServiceDeps, 'db' | 'jobs' | 'logger' | 'observeJob'>): { stop(): void } {
  const { db, jobs, logger } = deps;
  const { refresh } = createJobStatus(deps, () => false);
  const stopped = new AbortController();
  void goOn();
  return { stop: () => stopped.abort() };

  async function goOn(): Promise<void> {
    while (!stopped.signal.aborted) {
      await round().catch((err) => {
        if (!stopped.signal.aborted) logger.warn({ err }, 'jobs that were lost in Temporal are not looked for now');
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
