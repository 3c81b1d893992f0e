import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import proto from '@temporalio/proto';
import type { Progress } from '../contract/job.ts';
import { TASK_QUEUE } from '../contract/names.ts';
import { noWorkerText, stepNotTakenText, type UnservedQueue } from '../contract/unserved-queue.ts';
import { describeWorkflow } from './describe-workflow.ts';
import { hasWorkers } from './queue-workers.ts';

const { PENDING_ACTIVITY_STATE_SCHEDULED } = proto.temporal.api.enums.v1.PendingActivityState;
const { PENDING_WORKFLOW_TASK_STATE_SCHEDULED } = proto.temporal.api.enums.v1.PendingWorkflowTaskState;
/** Workers take a step of a workflow within milliseconds, if they have a free slot. */
const UNTAKEN_MS = 2_000;

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

/**
 * Why a workflow that does not answer makes no progress: no worker takes its steps. Undefined if one seems to.
 *
 * A worker that was killed is listed for 90 s more, so that only a step that is not taken shows that it is gone.
 */
export async function untakenText(client: Client, workflowId: string, now = new Date()): Promise<string | undefined> {
  const { pendingActivities, pendingWorkflowTask: task } = await describeWorkflow(client, workflowId);
  const isScheduled = task?.state === PENDING_WORKFLOW_TASK_STATE_SCHEDULED;
  const since = new Date(Number((task?.originalScheduledTime ?? task?.scheduledTime)?.seconds ?? 0) * 1000);
  if (isScheduled && now.getTime() - since.getTime() >= UNTAKEN_MS) {
    const queue = { name: TASK_QUEUE, since };
    return (await hasWorkers(client, TASK_QUEUE)) ? stepNotTakenText(queue, now) : noWorkerText(queue, now);
  }
  const unpolled = await unpolledQueue(client, pendingActivities);
  return unpolled && noWorkerText(unpolled, now);
}

/** The queue with the time since when the job waits for it: the step that waits now is not the first one that did, after some minutes. */
export function waitsSince(queue: UnservedQueue, { unserved }: Progress): UnservedQueue {
  return unserved?.queue === queue.name ? { ...queue, since: new Date(unserved.sinceMs) } : queue;
}
