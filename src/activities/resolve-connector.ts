import { CodedError } from '../errors.ts';
import { type Connector, ConnectorState } from '../generated/reconciler/v1/connectors.ts';
import type { ReconcileRequest } from '../workflows/contract.ts';
import type { ActivityDeps } from './deps.ts';
import { missingRules } from './missing-rules.ts';

/** What the workflow needs of a connector: bounded, and without credentials. */
export interface ResolvedConnector {
  connectorId: string;
  name: string;
  /** Tables ingested at the same time. */
  maxParallel: number;
  /** Namespaces where the destination does not name one: those of the source. */
  destinationNamed: boolean;
  /** Of the activities that read its upstream. Absent: the common one. */
  taskQueue?: string;
  /** What has been gone for long enough is dropped. */
  drops?: boolean;
  /** Its webhook is told how jobs end. */
  alerts?: boolean;
  /** The cluster knows this project's search attributes. */
  searchAttributes: boolean;
}

const DEFAULT_PARALLEL = 8;

/**
 * The stored connector, by display name or id. One that is paused is resolved, too: it may have been when the job was triggered already,
 * and the job rests before it reads anything.
 *
 * @throws NOT_FOUND, FAILED_PRECONDITION (being deleted)
 */
export async function resolveConnector(deps: ActivityDeps, request: ReconcileRequest): Promise<ResolvedConnector> {
  const connector = await findConnector(deps, request.connector);
  if (connector.state === ConnectorState.CONNECTOR_STATE_DELETING) {
    const message = `Connector ${connector.displayName} is being deleted. It is not reconciled any more.`;
    throw new CodedError('FAILED_PRECONDITION', message);
  }
  return {
    connectorId: connector.connectorId,
    name: connector.displayName,
    maxParallel: connector.policy?.maxParallel || DEFAULT_PARALLEL,
    destinationNamed: Boolean(connector.destination?.namespaceId || connector.destination?.namespacePath.length),
    taskQueue: connector.policy?.taskQueue || undefined,
    ...(missingRules(connector).action === 'DROP' && { drops: true }),
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
