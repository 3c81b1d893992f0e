import type { Client } from '@temporalio/client';
import proto from '@temporalio/proto';

const { TASK_QUEUE_TYPE_ACTIVITY } = proto.temporal.api.enums.v1.TaskQueueType;
const { WORKER_STATUS_RUNNING } = proto.temporal.api.enums.v1.WorkerStatus;
/**
 * An idle worker polls again after at most 70 s, and so does a busy one, as soon as one of its slices ends. Temporal lists pollers of the
 * last five minutes, of which some may be gone.
 */
const SEEN_WITHIN_MS = 90_000;
/** Workers of a queue that are looked at: the last ones that were started. */
const MAX_WORKERS = 10;

/**
 * Whether workers serve a task queue at present. A worker whose slots are all taken does not poll, but sends heartbeats every minute, from
 * servers 1.29 and later on.
 *
 * @param seenWithinMs how long ago a worker may have polled or sent its last heartbeat
 */
export async function hasWorkers(client: Client, taskQueue: string, seenWithinMs = SEEN_WITHIN_MS): Promise<boolean> {
  const { namespace } = client.options;
  const { pollers } = await client.workflowService.describeTaskQueue({
    namespace,
    taskQueue: { name: taskQueue },
    taskQueueType: TASK_QUEUE_TYPE_ACTIVITY,
  });
  const isRecent = (time: Timestamp) => Number(time?.seconds ?? 0) * 1000 > Date.now() - seenWithinMs;
  if (pollers?.some(({ lastAccessTime }) => isRecent(lastAccessTime))) return true;
  try {
    for (const workerInstanceKey of await runningWorkers(client, taskQueue)) {
      const { workerInfo } = await client.workflowService.describeWorker({ namespace, workerInstanceKey });
      if (isRecent(workerInfo?.workerHeartbeat?.heartbeatTime)) return true;
    }
  } catch {
    // Older servers do not know workers, and the caller may not be allowed to list them.
  }
  return false;
}

type Timestamp = { seconds?: unknown } | null | undefined;

/** Keys of workers of the queue that have not announced their end. Those that were killed are among them for five minutes. */
async function runningWorkers(client: Client, taskQueue: string): Promise<string[]> {
  const { namespace } = client.options;
  // The server finds no worker of a queue whose name contains a quote or a backslash, however it is written.
  const query = `TaskQueue = '${taskQueue.replaceAll("'", "''")}'`;
  const { workers } = await client.workflowService.listWorkers({ namespace, query });
  return (workers ?? [])
    .filter(({ status }) => status === WORKER_STATUS_RUNNING)
    .sort((a, b) => Number(b.startTime?.seconds ?? 0) - Number(a.startTime?.seconds ?? 0))
    .slice(0, MAX_WORKERS)
    .flatMap(({ workerInstanceKey }) => workerInstanceKey ?? []);
}
