import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import proto from '@temporalio/proto';
import { hasWorkers, workerCommand } from './queue-workers.ts';

const { PENDING_ACTIVITY_STATE_SCHEDULED } = proto.temporal.api.enums.v1.PendingActivityState;

type PendingActivities = WorkflowExecutionDescription['raw']['pendingActivities'];

/** A task queue that a job waits for, and that no worker serves. */
export interface UnpolledQueue {
  name: string;
  /** When the first of the job's steps began to wait. */
  since: Date;
}

/** @returns the task queue that the job has waited for longest among those without a worker; undefined if there is none */
export async function unpolledQueue(client: Client, pending: PendingActivities): Promise<UnpolledQueue | undefined> {
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

/** States what a job waits for, since when, and how to start a worker. */
export function noWorkerText({ name, since }: UnpolledQueue, now = new Date()): string {
  return `waiting since ${sinceText(since, now)}: no worker polls task queue '${name}'. Start one with \`${workerCommand(name)}\``;
}

/** `14:02 UTC (12 min)`; with the date if it is another day. It changes at most once a minute, so that logs of it stay short. */
function sinceText(since: Date, now: Date): string {
  const [day, time] = since.toISOString().split('T') as [string, string];
  const at = `${day === now.toISOString().split('T')[0] ? '' : `${day} `}${time.slice(0, 5)} UTC`;
  const minutes = Math.floor((now.getTime() - since.getTime()) / 60_000);
  if (minutes < 1) return at;
  const hours = Math.floor(minutes / 60);
  return `${at} (${hours < 1 ? `${minutes} min` : hours < 48 ? `${hours} h` : `${Math.floor(hours / 24)} d`})`;
}
