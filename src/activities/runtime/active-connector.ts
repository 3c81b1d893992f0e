import { ApplicationFailure, ApplicationFailureCategory } from '@temporalio/common';
import { CONNECTOR_PAUSED } from '../../contract/names.ts';
import { CodedError } from '../../errors.ts';
import { type Connector, ConnectorState } from '../../generated/reconciler/v1/connectors.ts';
import type { ActivityDeps } from './deps.ts';

/** Minimum time between checks of a long activity whether its connector is still active. */
const CHECK_INTERVAL_MS = 1_000;

type Deps = Pick<ActivityDeps, 'catalog'>;

/**
 * The stored connector in its current state.
 *
 * @throws ApplicationFailure CONNECTOR_PAUSED, not retryable: the workflow pauses and runs the step again when the connector is active
 * @throws CodedError FAILED_PRECONDITION if it is being deleted
 */
export async function activeConnector({ catalog }: Deps, connectorId: string): Promise<Connector> {
  const connector = await catalog.connectors.getConnector({ by: { $case: 'connectorId', value: connectorId } });
  requireActive(connector);
  return connector;
}

/**
 * Like `activeConnector`, for a step whose earlier attempt may have counted something. Returns undefined if it has and the connector is
 * paused by now: the step returns what was counted, and continues there after the pause.
 */
export async function activeUnlessCounted(
  deps: Deps,
  connectorId: string,
  hasCounted: boolean,
): Promise<Connector | undefined> {
  try {
    return await activeConnector(deps, connectorId);
  } catch (error) {
    if (isPaused(error) && hasCounted) return undefined;
    throw error;
  }
}

/** Returns a check to be called between tables. It throws as `activeConnector` does, and calls the catalog at most once per second. */
export function activeCheck(deps: Deps, connectorId: string): () => Promise<void> {
  let checkedAt = performance.now();
  return async () => {
    if (performance.now() - checkedAt < CHECK_INTERVAL_MS) return;
    await activeConnector(deps, connectorId);
    checkedAt = performance.now();
  };
}

export function isPaused(error: unknown): boolean {
  return error instanceof ApplicationFailure && error.type === CONNECTOR_PAUSED;
}

function requireActive({ state, displayName }: Connector): void {
  if (state === ConnectorState.CONNECTOR_STATE_PAUSED) {
    throw ApplicationFailure.create({
      type: CONNECTOR_PAUSED,
      message: `Connector ${displayName} is paused: the job waits.`,
      nonRetryable: true,
      category: ApplicationFailureCategory.BENIGN,
    });
  }
  if (state === ConnectorState.CONNECTOR_STATE_DELETING) {
    throw new CodedError('FAILED_PRECONDITION', `Connector ${displayName} is being deleted.`);
  }
}
