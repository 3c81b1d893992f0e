import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import proto from '@temporalio/proto';
import { INGEST_TASK_QUEUE, TASK_QUEUE } from '../contract/names.ts';
import { shellWord } from '../names.ts';

const { TASK_QUEUE_TYPE_ACTIVITY } = proto.temporal.api.enums.v1.TaskQueueType;
/** A worker polls again after at most a minute; Temporal lists pollers of the last five minutes. */
const POLLED_WITHIN_S = 90;

type PendingActivities = WorkflowExecutionDescription['raw']['pendingActivities'];

/** @returns the name of a task queue that has a waiting activity and that no worker polls; undefined if there is none */
export async function unpolledQueue(client: Client, pending: PendingActivities): Promise<string | undefined> {
  const waiting = (pending ?? []).filter(({ lastStartedTime }) => !lastStartedTime);
  const queues = new Set(waiting.map(({ activityOptions }) => activityOptions?.taskQueue?.name ?? ''));
  for (const name of queues) {
    if (name !== '' && !(await isPolled(client, name))) return name;
  }
  return undefined;
}

/** States what a job waits for and how to start a worker. A worker without options serves the default queues. */
export function noWorkerText(queue: string): string {
  const option = queue === INGEST_TASK_QUEUE || queue === TASK_QUEUE ? '' : ` --task-queue ${shellWord(queue)}`;
  return `waiting: no worker polls task queue '${queue}'. Start one with \`reconciler worker${option}\``;
}

async function isPolled(client: Client, name: string): Promise<boolean> {
  const { namespace } = client.options;
  const { pollers } = await client.workflowService.describeTaskQueue({
    namespace,
    taskQueue: { name },
    taskQueueType: TASK_QUEUE_TYPE_ACTIVITY,
  });
  const since = Date.now() / 1000 - POLLED_WITHIN_S;
  return (pollers ?? []).some(({ lastAccessTime }) => Number(lastAccessTime?.seconds ?? 0) > since);
}
