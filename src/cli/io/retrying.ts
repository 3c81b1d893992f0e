import { setTimeout as sleep } from 'node:timers/promises';
import { ClientError, Status } from 'nice-grpc';
import { CodedError } from '../../errors.ts';
import { asTyped } from './as-typed.ts';
import { isUnanswered } from './errors.ts';

/** A catalog service that restarts is back within seconds; after this time it is assumed to be stopped. */
const GIVE_UP_AFTER_MS = 60_000;
const PAUSE_MS = 500;

/**
 * Repeats a call until the server answers, so that a restart of the service does not end a wait of hours. Prints once on
 * stderr that it retries. Returns the answer, or throws any error that is not transient.
 */
export async function retrying<T>(call: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  const started = Date.now();
  for (let attempt = 1; ; attempt++) {
    try {
      return await call();
    } catch (error) {
      if (!isTransient(error) || Date.now() - started > GIVE_UP_AFTER_MS) throw error;
      if (attempt === 2) process.stderr.write(`${asTyped(reason(error))}; retrying for up to a minute\n`);
      await sleep(PAUSE_MS, undefined, { signal });
    }
  }
}

/** The catalog service itself may report that Temporal cannot be reached. */
function reason(error: unknown): string {
  if (!(error instanceof ClientError) || isUnanswered(error)) return 'the catalog service does not answer';
  return error.details.replace(/\.$/, '') || 'the catalog service is not ready';
}

function isTransient(error: unknown): boolean {
  if (error instanceof CodedError) return error.code === 'UNAVAILABLE';
  return error instanceof ClientError && (error.code === Status.UNAVAILABLE || error.code === Status.DEADLINE_EXCEEDED);
}
