import { setTimeout } from 'node:timers/promises';
import type { CallContext } from 'nice-grpc';
import { WARNING_TRAILER } from '../../catalog-client/warnings.ts';
import type { ServiceDeps } from '../core/ports.ts';

/** The caller waits for this check, whose result is only advice. */
const ANSWER_TIMEOUT_MS = 2_000;

/** Adds a warning to the response if no worker serves the task queue. Adds none if Temporal does not answer soon. */
export async function warnOfUnpolledQueue(
  { jobs }: Pick<ServiceDeps, 'jobs'>,
  taskQueue: string,
  { trailer }: CallContext,
): Promise<void> {
  const find = async () => (await jobs()).queueWarning(taskQueue);
  const timer = new AbortController();
  const warning = await Promise.race([
    find().catch(() => undefined),
    setTimeout(ANSWER_TIMEOUT_MS, undefined, { signal: timer.signal }).catch(() => undefined),
  ]);
  timer.abort();
  if (warning !== undefined) trailer.append(WARNING_TRAILER, Buffer.from(warning));
}
