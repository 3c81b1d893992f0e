import { type JobFailure, JobFailureKind, type ReconcileJob } from '../generated/reconciler/v1/jobs.ts';
import type { Progress, TableFailure } from './job.ts';

/** A job's counters, by the names that its progress and its record share. */
export const JOB_COUNTERS = [
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

/** A workflow's progress as the fields of a job's record. Absent counters are 0. */
export function progressMessage(
  progress: Progress,
): Pick<ReconcileJob, 'phase' | 'paused' | (typeof JOB_COUNTERS)[number]> {
  const counters = Object.fromEntries(JOB_COUNTERS.map((name) => [name, BigInt(progress[name] ?? 0)]));
  return {
    ...(counters as Record<(typeof JOB_COUNTERS)[number], bigint>),
    phase: progress.phase,
    paused: progress.paused ?? false,
  };
}

/** How a failure's `table` begins if it is not a table's. A table's own name is quoted if it contains a space. */
const KINDS: [RegExp, JobFailureKind][] = [
  [/^(views)?$/, JobFailureKind.JOB_FAILURE_KIND_JOB],
  [/^view /, JobFailureKind.JOB_FAILURE_KIND_VIEW],
  [/^(namespace|views of) /, JobFailureKind.JOB_FAILURE_KIND_NAMESPACE],
];

/** A workflow's failure as the job's record contains it. */
export function failureMessage({ table, code, message, failedAtMs }: TableFailure): JobFailure {
  const kind = KINDS.find(([pattern]) => pattern.test(table))?.[1] ?? JobFailureKind.JOB_FAILURE_KIND_TABLE;
  return { table, code, message, failedAt: new Date(failedAtMs), kind };
}
