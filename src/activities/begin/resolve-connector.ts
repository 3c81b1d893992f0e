import { currentTenant } from '../../catalog-client/tenant.ts';
import type { ResolvedConnector } from '../../contract/activities.ts';
import type { ReconcileRequest } from '../../contract/job.ts';
import { missingPolicy } from '../../contract/missing-policy.ts';
import { namedTenant } from '../../contract/tenant.ts';
import { CodedError } from '../../errors.ts';
import { type Connector, ConnectorState } from '../../generated/reconciler/v1/connectors.ts';
import type { ActivityDeps } from '../runtime/deps.ts';
import { describeError } from '../runtime/failures.ts';

const DEFAULT_PARALLEL = 8;
const CONNECTOR_ID = /^con_[0-9a-z]+$/;

/**
 * The stored connector, by id or display name. A paused one is resolved, too: the job then waits before it reads anything.
 *
 * @throws NOT_FOUND, FAILED_PRECONDITION (being deleted)
 */
export async function resolveConnector(deps: ActivityDeps, request: ReconcileRequest): Promise<ResolvedConnector> {
  const connector = await findConnector(deps, request.connector);
  if (connector.state === ConnectorState.CONNECTOR_STATE_DELETING) {
    const message = `Connector ${connector.displayName} is being deleted and is no longer reconciled.`;
    throw new CodedError('FAILED_PRECONDITION', message);
  }
  return {
    connectorId: connector.connectorId,
    name: connector.displayName,
    ...namedTenant(currentTenant()),
    maxParallel: connector.policy?.maxParallel || DEFAULT_PARALLEL,
    taskQueue: connector.policy?.taskQueue || undefined,
    drops: missingPolicy(connector).action === 'DROP',
    searchAttributes: await deps.hasSearchAttributes(),
  };
}

/** People type names; schedules, triggers and retries pass ids. Each is found by the first call. */
async function findConnector({ catalog }: ActivityDeps, nameOrId: string): Promise<Connector> {
  const { getConnector } = catalog.connectors;
  const byName = () => getConnector({ by: { $case: 'displayName', value: nameOrId } });
  if (!CONNECTOR_ID.test(nameOrId)) return byName();
  try {
    return await getConnector({ by: { $case: 'connectorId', value: nameOrId } });
  } catch (error) {
    // A display name may look like an id.
    if (describeError(error).code === 'NOT_FOUND') return byName();
    throw error;
  }
}
