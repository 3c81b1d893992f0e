import { setTimeout as sleep } from 'node:timers/promises';
import { ClientError, Status } from 'nice-grpc';
import { CodedError } from '../../errors.ts';
import { isUnanswered } from './errors.ts';

/** A catalog service that is started again is there within seconds; one that was stopped is given up. */
const GIVE_UP_AFTER_MS = 60_000;
const PAUSE_MS = 500;

/**
 * Calls until the server answers: a service that is just being restarted must not end a wait of hours. Says once on stderr
 * that it waits. Any answer, also an error, is passed on.
 */
export async function retrying<T>(call: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  const started = Date.now();
  for (let attempt = 1; ; attempt++) {
    try {
      return await call();
    } catch (error) {
      if (!isPassing(error) || Date.now() - started > GIVE_UP_AFTER_MS) throw error;
      if (attempt === 2) process.stderr.write(`${reason(error)}; trying again for a minute\n`);
      await sleep(PAUSE_MS, undefined, { signal });
    }
  }
}

/** The catalog service may say itself that Temporal is away. */
function reason(error: unknown): string {
  if (!(error instanceof ClientError) || isUnanswered(error)) return 'the catalog service does not answer';
  return error.details.replace(/\.$/, '') || 'the catalog service is not ready';
}

function isPassing(error: unknown): boolean {
  if (error instanceof CodedError) return error.code === 'UNAVAILABLE';
  return error instanceof ClientError && (error.code === Status.UNAVAILABLE || error.code === Status.DEADLINE_EXCEEDED);
}
