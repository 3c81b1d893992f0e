import {
  JobCounters,
  type JobFailure,
  JobFailureKind,
  JobState,
  type ReconcileJob,
} from '../generated/reconciler/v1/jobs.ts';
import type { Progress, TableFailure } from './job.ts';

/** A workflow's progress as the fields of a job's record. */
export function progressMessage({
  phase,
  paused = false,
  counters,
}: Progress): Pick<ReconcileJob, 'phase' | 'paused' | 'counters'> {
  const counts = Object.entries(counters).map(([name, count]) => [name, BigInt(count)]);
  return { phase, paused, counters: JobCounters.fromPartial(Object.fromEntries(counts)) };
}

/** A job's counters; all 0 if its record has none. */
export function countersOf({ counters }: Pick<ReconcileJob, 'counters'>): JobCounters {
  return counters ?? JobCounters.create();
}

/** Whether a job in this state has ended: it never changes state again. */
export function isEnded(state: JobState): boolean {
  return state === JobState.JS_SUCCEEDED || state === JobState.JS_FAILED || state === JobState.JS_CANCELLED;
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
