import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import proto from '@temporalio/proto';
import type { Progress } from '../contract/job.ts';
import type { UnservedQueue } from '../contract/unserved-queue.ts';
import { hasWorkers } from './queue-workers.ts';

const { PENDING_ACTIVITY_STATE_SCHEDULED } = proto.temporal.api.enums.v1.PendingActivityState;

type PendingActivities = WorkflowExecutionDescription['raw']['pendingActivities'];

/** @returns the task queue that the job has waited for longest among those without a worker; undefined if there is none */
export async function unpolledQueue(client: Client, pending: PendingActivities): Promise<UnservedQueue | undefined> {
  const waiting = (pending ?? []).flatMap(({ state, nextAttemptScheduleTime, scheduledTime, activityOptions }) => {
    const name = activityOptions?.taskQueue?.name;
    // A step with a next attempt waits for that time, and for no worker.
    if (state !== PENDING_ACTIVITY_STATE_SCHEDULED || nextAttemptScheduleTime || !name) return [];
    return { name, since: new Date(Number(scheduledTime?.seconds ?? 0) * 1000) };
  });
  waiting.sort((a, b) => a.since.getTime() - b.since.getTime());
  const looked = new Set<string>();
  for (const queue of waiting) {
    if (looked.has(queue.name)) continue;
    looked.add(queue.name);
    if (!(await hasWorkers(client, queue.name))) return queue;
  }
  return undefined;
}

/** The queue with the time since when the job waits for it: the step that waits now is not the first one that did, after some minutes. */
export function waitsSince(queue: UnservedQueue, { unserved }: Progress): UnservedQueue {
  return unserved?.queue === queue.name ? { ...queue, since: new Date(unserved.sinceMs) } : queue;
}
