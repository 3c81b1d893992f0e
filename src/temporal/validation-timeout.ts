import type { Client } from '@temporalio/client';
import type { ValidateRequest } from '../contract/job.ts';
import { scanQueueOf, TASK_QUEUE } from '../contract/names.ts';
import { workerCommand } from '../contract/unserved-queue.ts';
import { hasWorkers } from './queue-workers.ts';

/** How long a validation may take. Time limits for requests to the upstream are shorter. */
export const VALIDATE_TIMEOUT_S = 60;

/** States why no worker has validated a connector in time, and what to do. */
export async function validationTimeoutText(client: Client, { taskQueue }: ValidateRequest): Promise<string> {
  const scanQueue = scanQueueOf(taskQueue);
  for (const queue of [TASK_QUEUE, scanQueue]) {
    if (await hasWorkers(client, queue)) continue;
    return `The connector was not validated: no worker polls task queue '${queue}'. Start one with \`${workerCommand(queue)}\`.`;
  }
  return `The workers of task queue '${scanQueue}' are busy: none has validated the connector within ${VALIDATE_TIMEOUT_S} s. Try again later, or start another one with \`${workerCommand(scanQueue)}\`.`;
}
