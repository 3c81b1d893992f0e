import type { ResolvedConnector } from '../contract/activities.ts';
import type { ReconcileRequest } from '../contract/job.ts';
import { CodedError } from '../errors.ts';
import { type Connector, ConnectorState } from '../generated/reconciler/v1/connectors.ts';
import { missingPolicy } from './missing/missing-policy.ts';
import type { ActivityDeps } from './runtime/deps.ts';

const DEFAULT_PARALLEL = 8;

/**
 * The stored connector, by display name or id. A paused connector is resolved, too: it may have been paused already when the job was
 * triggered, and the job pauses before it reads anything.
 *
 * @throws NOT_FOUND, FAILED_PRECONDITION (being deleted)
 */
export async function resolveConnector(deps: ActivityDeps, request: ReconcileRequest): Promise<ResolvedConnector> {
  const connector = await findConnector(deps, request.connector);
  if (connector.state === ConnectorState.CONNECTOR_STATE_DELETING) {
    const message = `Connector ${connector.displayName} is being deleted. It is no longer reconciled.`;
    throw new CodedError('FAILED_PRECONDITION', message);
  }
  return {
    connectorId: connector.connectorId,
    name: connector.displayName,
    maxParallel: connector.policy?.maxParallel || DEFAULT_PARALLEL,
    taskQueue: connector.policy?.taskQueue || undefined,
    ...(missingPolicy(connector).action === 'DROP' && { drops: true }),
    ...(connector.alerts?.webhookUrl && { alerts: true }),
    searchAttributes: await deps.hasSearchAttributes(),
  };
}

async function findConnector(deps: ActivityDeps, nameOrId: string): Promise<Connector> {
  try {
    return await deps.catalog.connectors.getConnector({ by: { $case: 'displayName', value: nameOrId } });
  } catch (byName) {
    try {
      return await deps.catalog.connectors.getConnector({ by: { $case: 'connectorId', value: nameOrId } });
    } catch {
      throw byName;
    }
  }
}
