import { ApplicationFailure, ApplicationFailureCategory } from '@temporalio/common';
import { CONNECTOR_PAUSED } from '../../contract/names.ts';
import { CodedError } from '../../errors.ts';
import { type Connector, ConnectorState } from '../../generated/reconciler/v1/connectors.ts';
import type { ActivityDeps } from './deps.ts';

/** How often a long activity asks whether its connector is still active. */
const ASK_EVERY_MS = 1_000;

type Deps = Pick<ActivityDeps, 'catalog'>;

/**
 * The stored connector, as it is now.
 *
 * @throws ApplicationFailure CONNECTOR_PAUSED, not retryable: the workflow rests and runs the step again when the connector is active
 * @throws CodedError FAILED_PRECONDITION where it is being deleted
 */
export async function activeConnector({ catalog }: Deps, connectorId: string): Promise<Connector> {
  const connector = await catalog.connectors.getConnector({ by: { $case: 'connectorId', value: connectorId } });
  requireActive(connector);
  return connector;
}

/** Gives a check to be called between tables. It throws as `activeConnector` does, and asks the catalog at most once a second. */
export function activeCheck(deps: Deps, connectorId: string): () => Promise<void> {
  let askedAt = performance.now();
  return async () => {
    if (performance.now() - askedAt < ASK_EVERY_MS) return;
    await activeConnector(deps, connectorId);
    askedAt = performance.now();
  };
}

export function isPaused(error: unknown): boolean {
  return error instanceof ApplicationFailure && error.type === CONNECTOR_PAUSED;
}

function requireActive({ state, displayName }: Connector): void {
  if (state === ConnectorState.CONNECTOR_STATE_PAUSED) {
    throw ApplicationFailure.create({
      type: CONNECTOR_PAUSED,
      message: `Connector ${displayName} is paused: the job rests.`,
      nonRetryable: true,
      category: ApplicationFailureCategory.BENIGN,
    });
  }
  if (state === ConnectorState.CONNECTOR_STATE_DELETING) {
    throw new CodedError('FAILED_PRECONDITION', `Connector ${displayName} is being deleted.`);
  }
}
