import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { CONNECTOR_BUSY, CONNECTOR_PAUSED } from '../../../src/contract/names.ts';
import type { Behaviour } from './stub-upstream.ts';

/** The step fails, and is not retried. */
export const fails =
  (type: string, message = `${type} by the test`): Behaviour =>
  () => {
    throw ApplicationFailure.nonRetryable(message, type);
  };

/** The attempt fails, and the next one follows at once, or after a minute. */
export const failsOnce =
  (type: string, nextRetryDelay: '10ms' | '60s' = '10ms'): Behaviour =>
  () => {
    throw ApplicationFailure.create({ type, message: `${type} by the test`, nextRetryDelay });
  };

/** Another job has the connector. */
export const busy = failsOnce(CONNECTOR_BUSY);
export const busyForAMinute = failsOnce(CONNECTOR_BUSY, '60s');
/** The activity refuses a paused connector; `awaitActive` is retried until it is active. */
export const paused = fails(CONNECTOR_PAUSED);
export const stillPaused = failsOnce(CONNECTOR_PAUSED);
export const pausedForAMinute = failsOnce(CONNECTOR_PAUSED, '60s');

export const returns =
  (result: unknown): Behaviour =>
  () =>
    result;

/** The activity heartbeats until it is cancelled. */
export const hangs: Behaviour = async () => {
  const context = Context.current();
  const heartbeats = setInterval(() => context.heartbeat(), 20);
  try {
    await context.cancelled;
  } finally {
    clearInterval(heartbeats);
  }
};

/** For what another step does meanwhile. A condition that never holds ends the test by its time limit. */
export async function waitUntil(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}
