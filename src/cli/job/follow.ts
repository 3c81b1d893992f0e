import { setTimeout as sleep } from 'node:timers/promises';
import type { CatalogClients } from '../../catalog-client/connect.ts';
import { countersOf, isEnded } from '../../contract/progress-message.ts';
import type { ReconcileJob } from '../../generated/reconciler/v1/jobs.ts';
import { type Context, withDeadline } from '../catalog-session/context.ts';
import { asTyped } from '../io/as-typed.ts';
import { ExitCode } from '../io/errors.ts';
import { retrying } from '../io/retrying.ts';
import { untilStopped } from '../io/signals.ts';
import { type ProgressView, progressView } from './progress-view.ts';

const FIRST_PAUSE_MS = 100;
const MAX_PAUSE_MS = 1_000;
/** The exit code that shells use for Ctrl-C. */
const INTERRUPTED = 130;

/**
 * Polls a job until it has ended, and shows its progress and failures.
 *
 * @throws The reason of `signal` if it is aborted.
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
  const reported = new Set<string>();
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 1.5, MAX_PAUSE_MS)) {
    const get = retrying(() => clients.connectors.getReconcileJob({ jobId }, withDeadline()), signal);
    const job = await Promise.race([get, aborted]);
    if (countersOf(job).errors > BigInt(reported.size)) await showFailures(clients, jobId, view, reported);
    view.show(job);
    if (isEnded(job.state)) return job;
    await sleep(pause, undefined, { signal });
  }
}

/** At most this many failures are shown while the job runs; `job failures` lists all. */
const MAX_REPORTED = 100;

/** Shows the failures that were not shown before. If they cannot be read now, the next poll tries again. */
async function showFailures(clients: CatalogClients, jobId: string, view: ProgressView, reported: Set<string>) {
  if (reported.size >= MAX_REPORTED) return;
  const request = { jobId, pageSize: MAX_REPORTED };
  const { failures } = await clients.jobs.listJobFailures(request, withDeadline()).catch(() => ({ failures: [] }));
  for (const failure of failures) {
    if (reported.has(failure.table)) continue;
    reported.add(failure.table);
    // A failure without a table ended the job, and is in the job's message.
    if (failure.table !== '') view.failed(failure);
  }
}

/**
 * Shows a job's progress on stderr until it has ended. If the catalog service restarts meanwhile, it waits for the service.
 * Ctrl-C ends the watching, not the job.
 *
 * @returns The job as it ended.
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
    const commands = `watch it again: reconciler job watch ${jobId}\ncancel it: reconciler job cancel ${jobId}`;
    process.stderr.write(`stopped watching; the job continues\n${asTyped(commands)}\n`);
    throw new ExitCode(INTERRUPTED);
  } finally {
    view.end();
    stop.dispose();
  }
}
