import type { ReconcileJob } from '../generated/reconciler/v1/jobs.ts';
import type { Progress } from '../workflows/contract.ts';

const COUNTERS = [
  'tablesScanned',
  'tablesChanged',
  'tablesUnchanged',
  'tablesFiltered',
  'tablesMissing',
  'tablesDropped',
  'tablesExpected',
  'errors',
  'snapshotsIngested',
  'snapshotsDropped',
  'filesIngested',
  'bytesRead',
  'viewsScanned',
  'viewsChanged',
  'viewsMissing',
  'viewsDropped',
  'upstreamRequests',
] as const satisfies readonly (keyof Progress & keyof ReconcileJob)[];

/** A workflow's progress as the fields of a job's record. Counters that older workflows do not have are 0. */
export function progressMessage(
  progress: Progress,
): Pick<ReconcileJob, 'phase' | 'paused' | (typeof COUNTERS)[number]> {
  const counters = Object.fromEntries(COUNTERS.map((name) => [name, BigInt(progress[name] ?? 0)]));
  return {
    ...(counters as Record<(typeof COUNTERS)[number], bigint>),
    phase: progress.phase,
    paused: progress.paused ?? false,
  };
}
