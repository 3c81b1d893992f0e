import { shellWord } from '../text.ts';
import { INGEST_TASK_QUEUE, SCAN_TASK_QUEUE, scanQueueOf, TASK_QUEUE } from './names.ts';

/** A task queue that a job waits for, because no worker takes its steps. */
export interface UnservedQueue {
  name: string;
  /** When the first of the job's steps began to wait. */
  since: Date;
}

/** States what a job waits for, since when, and how to start a worker. For those that can ask Temporal for the pollers of the queue. */
export function noWorkerText(queue: UnservedQueue, now = new Date()): string {
  return `waiting since ${sinceText(queue.since, now)}: no worker polls ${startWorkerText(queue)}`;
}

/** The same for the workflow itself, which only knows that its steps were not taken. */
export function stepNotTakenText(queue: UnservedQueue, now: Date): string {
  return `waiting since ${sinceText(queue.since, now)}: no worker has taken a step of the job: all are busy, or none polls ${startWorkerText(queue)}`;
}

/** Why a job has given up. */
export function gaveUpText({ name, since }: UnservedQueue, now: Date): string {
  return `no worker has taken a step of the job from task queue '${name}' since ${sinceText(since, now)}. Start one with \`${workerCommand(name)}\`, and trigger again`;
}

const startWorkerText = ({ name }: UnservedQueue) => `task queue '${name}'. Start one with \`${workerCommand(name)}\``;

/** `14:02 UTC (12 min)`; with the date if it is another day. It changes at most once a minute, so that logs of it stay short. */
function sinceText(since: Date, now: Date): string {
  const [day, time] = since.toISOString().split('T') as [string, string];
  const at = `${day === now.toISOString().split('T')[0] ? '' : `${day} `}${time.slice(0, 5)} UTC`;
  const minutes = Math.floor((now.getTime() - since.getTime()) / 60_000);
  if (minutes < 1) return at;
  const hours = Math.floor(minutes / 60);
  return `${at} (${hours < 1 ? `${minutes} min` : hours < 48 ? `${hours} h` : `${Math.floor(hours / 24)} d`})`;
}

/** How to start a worker for a task queue. One without options serves the default queues. */
export function workerCommand(taskQueue: string): string {
  if ([TASK_QUEUE, SCAN_TASK_QUEUE, INGEST_TASK_QUEUE].includes(taskQueue)) return 'reconciler worker';
  // `--task-queue` names the queue of ingests; the worker also serves that of short steps beside it.
  const ingestQueue = taskQueue.replace(/-scan$/, '');
  return `reconciler worker --task-queue ${shellWord(scanQueueOf(ingestQueue) === taskQueue ? ingestQueue : taskQueue)}`;
}
