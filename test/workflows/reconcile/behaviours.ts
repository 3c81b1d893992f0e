import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { CLAIM_LOST } from '../../../src/contract/claim.ts';
import { CONNECTOR_PAUSED } from '../../../src/contract/names.ts';
import { type Behaviour, connector } from './stub-upstream.ts';

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

/** Another job is ahead. */
export const busy: Behaviour = async () => ({ connector, waitsFor: 'job-0' });
/** The activity refuses a paused connector. */
export const paused = fails(CONNECTOR_PAUSED);
/** The claim has passed to another job. */
export const claimLost = fails(CLAIM_LOST);

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
