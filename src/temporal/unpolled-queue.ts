import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import { INGEST_TASK_QUEUE, TASK_QUEUE } from '../contract/names.ts';
import { shellWord } from '../names.ts';

/** A worker asks anew at the latest every minute; Temporal remembers for five who asked. */
const POLLED_WITHIN_S = 90;
/** TASK_QUEUE_TYPE_ACTIVITY of Temporal's API. */
const ACTIVITY = 2;

type PendingActivities = WorkflowExecutionDescription['raw']['pendingActivities'];

/** A task queue on which an activity waits that no worker has taken, and that none asks for; undefined where there is none. */
export async function unservedQueue(client: Client, pending: PendingActivities): Promise<string | undefined> {
  const waiting = (pending ?? []).filter(({ lastStartedTime }) => !lastStartedTime);
  const queues = new Set(waiting.map(({ activityOptions }) => activityOptions?.taskQueue?.name ?? ''));
  for (const name of queues) {
    if (name !== '' && !(await isPolled(client, name))) return name;
  }
  return undefined;
}

/** What a job waits for, and what to do. The common queue is served by a worker without options. */
export function noWorkerText(queue: string): string {
  const option = queue === INGEST_TASK_QUEUE || queue === TASK_QUEUE ? '' : ` --task-queue ${shellWord(queue)}`;
  return `waiting, since no worker polls task queue '${queue}': start one with reconciler worker${option}`;
}

async function isPolled(client: Client, name: string): Promise<boolean> {
  const { namespace } = client.options;
  const { pollers } = await client.workflowService.describeTaskQueue({
    namespace,
    taskQueue: { name },
    taskQueueType: ACTIVITY,
  });
  const since = Date.now() / 1000 - POLLED_WITHIN_S;
  return (pollers ?? []).some(({ lastAccessTime }) => Number(lastAccessTime?.seconds ?? 0) > since);
}
