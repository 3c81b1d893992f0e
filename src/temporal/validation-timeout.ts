import { setTimeout as sleep } from 'node:timers/promises';
import type { Client, WorkflowHandle } from '@temporalio/client';
import type { ValidateRequest, ValidateResult } from '../contract/job.ts';
import { scanQueueOf, TASK_QUEUE } from '../contract/names.ts';
import { workerCommand } from '../contract/unserved-queue.ts';
import { CodedError } from '../errors.ts';
import { hasWorkers } from './queue-workers.ts';

/** How long a validation may take. Time limits for requests to the upstream are shorter. */
export const VALIDATE_TIMEOUT_S = 60;

/** When it is first checked whether workers poll; a validation with workers usually takes less. */
const CHECK_EVERY_MS = 2_000;

/**
 * The result of a validation. If no worker polls one of its task queues, terminates the workflow: nobody waits for it any more.
 *
 * @throws CodedError UNAVAILABLE that states which task queue no worker polls
 */
export async function resultUnlessUnserved(
  client: Client,
  handle: WorkflowHandle<(request: ValidateRequest) => Promise<ValidateResult>>,
  request: ValidateRequest,
): Promise<ValidateResult> {
  const ended = new AbortController();
  const result = handle.result().finally(() => ended.abort());
  const unserved = async (): Promise<never> => {
    for (;;) {
      await sleep(CHECK_EVERY_MS, undefined, { signal: ended.signal });
      const queue = await unservedQueue(client, request).catch(() => undefined);
      if (queue === undefined) continue;
      await handle.terminate(`no worker polls task queue '${queue}'`).catch(() => {});
      throw new CodedError('UNAVAILABLE', notValidated(queue));
    }
  };
  const watching = unserved();
  // The loser of the race has nobody who waits for it.
  for (const promise of [result, watching]) promise.catch(() => {});
  return Promise.race([
    result,
    watching.catch((error) => (error instanceof CodedError ? Promise.reject(error) : result)),
  ]);
}

/** The task queue of a validation that no worker polls; undefined if workers poll all. */
async function unservedQueue(client: Client, { taskQueue }: ValidateRequest): Promise<string | undefined> {
  for (const queue of [TASK_QUEUE, scanQueueOf(taskQueue)]) if (!(await hasWorkers(client, queue))) return queue;
  return undefined;
}

const notValidated = (queue: string) =>
  `The connector was not validated: no worker polls task queue '${queue}'. Start one with \`${workerCommand(queue)}\`.`;

/** States why no worker has validated a connector in time, and what to do. */
export async function validationTimeoutText(client: Client, request: ValidateRequest): Promise<string> {
  const queue = await unservedQueue(client, request);
  if (queue !== undefined) return notValidated(queue);
  const scanQueue = scanQueueOf(request.taskQueue);
  return `The workers of task queue '${scanQueue}' are busy: none has validated the connector within ${VALIDATE_TIMEOUT_S} s. Try again later, or start another one with \`${workerCommand(scanQueue)}\`.`;
}
