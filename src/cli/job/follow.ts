import { setTimeout as sleep } from 'node:timers/promises';
import type { CatalogClients } from '../../catalog-client/connect.ts';
import { countersOf, isEnded } from '../../contract/progress-message.ts';
import type { ReconcileJob } from '../../generated/reconciler/v1/jobs.ts';
import { type Context, withDeadline } from '../catalog-session/context.ts';
import { ExitCode } from '../io/errors.ts';
import { retrying } from '../io/retrying.ts';
import { untilStopped } from '../io/signals.ts';
import { type ProgressView, progressView } from './progress-view.ts';

const FIRST_PAUSE_MS = 100;
const MAX_PAUSE_MS = 1_000;
/** What the shell gives for Ctrl-C. */
const INTERRUPTED = 130;

/**
 * Asks for a job until it has ended, and shows what it gets.
 *
 * @throws The reason of `signal` when that is aborted.
 */
export async function pollJob(
  clients: CatalogClients,
  jobId: string,
  view: ProgressView,
  signal: AbortSignal,
): Promise<ReconcileJob> {
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason));
  });
  aborted.catch(() => {});
  const told = new Set<string>();
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 1.5, MAX_PAUSE_MS)) {
    const get = retrying(() => clients.connectors.getReconcileJob({ jobId }, withDeadline()), signal);
    const job = await Promise.race([get, aborted]);
    if (countersOf(job).errors > BigInt(told.size)) await tellFailures(clients, jobId, view, told);
    view.show(job);
    if (isEnded(job.state)) return job;
    await sleep(pause, undefined, { signal });
  }
}

/** Failures that are told as they come; `job failures` lists all. */
const MAX_REPORTED = 100;

/** Tells those that were not told yet. That they cannot be read now is nothing to tell. */
async function tellFailures(clients: CatalogClients, jobId: string, view: ProgressView, told: Set<string>) {
  if (told.size >= MAX_REPORTED) return;
  const request = { jobId, pageSize: MAX_REPORTED };
  const { failures } = await clients.jobs.listJobFailures(request, withDeadline()).catch(() => ({ failures: [] }));
  for (const failure of failures) {
    if (told.has(failure.table)) continue;
    told.add(failure.table);
    // What ended the job stands in its message.
    if (failure.table !== '') view.failed(failure);
  }
}

/**
 * Shows a job's progress on stderr until it has ended, and gives it as it ended. A catalog service that is being restarted
 * meanwhile is waited for. Ctrl-C stops the watching and not the job.
 *
 * @throws ExitCode 130 after Ctrl-C.
 */
export async function followJob({ clients }: Pick<Context, 'clients'>, jobId: string): Promise<ReconcileJob> {
  const stop = untilStopped();
  const view = progressView(process.stderr);
  try {
    return await pollJob(clients, jobId, view, stop.signal);
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    view.end();
    process.stderr.write(
      `no longer watching; the job goes on. See it: reconciler job watch ${jobId}  Stop it: reconciler job cancel ${jobId}\n`,
    );
    throw new ExitCode(INTERRUPTED);
  } finally {
    view.end();
    stop.dispose();
  }
}
