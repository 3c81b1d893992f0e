import { ActivityFailure, ApplicationFailure, isCancellation, TimeoutFailure } from '@temporalio/workflow';
import { truncate } from '../text.ts';

/** Messages stand in queries, job records and the history. */
const MAX_MESSAGE_LENGTH = 1_000;

/** The gRPC code name and the message of what an activity, or this workflow, failed with. */
export function causeOf(error: unknown): { code: string; message: string } {
  const cause = error instanceof ActivityFailure && error.cause ? error.cause : error;
  const message = truncate(cause instanceof Error ? cause.message : String(cause), MAX_MESSAGE_LENGTH);
  if (cause instanceof ApplicationFailure) return { code: cause.type ?? 'INTERNAL', message };
  // Heartbeat and start-to-close timeouts.
  const timedOut = cause instanceof Error && cause.name === 'TimeoutFailure';
  return { code: timedOut ? 'DEADLINE_EXCEEDED' : 'INTERNAL', message };
}

/** Whether an activity failed with an ApplicationFailure of this type. */
export function failedWith(error: unknown, type: string): boolean {
  return error instanceof ActivityFailure && error.cause instanceof ApplicationFailure && error.cause.type === type;
}

/** The type of the activity that no worker has taken from its task queue in time; undefined if that is not why it failed. */
export function unservedActivity(error: unknown): string | undefined {
  if (!(error instanceof ActivityFailure) || !(error.cause instanceof TimeoutFailure)) return undefined;
  return error.cause.timeoutType === 'SCHEDULE_TO_START' ? error.activityType : undefined;
}

/** The type of the activity that failed while a worker ran it; undefined if none of them is known to have done so. */
export function takenActivity(error: unknown): string | undefined {
  if (!(error instanceof ActivityFailure) || isCancellation(error)) return undefined;
  return unservedActivity(error) === undefined ? error.activityType : undefined;
}
