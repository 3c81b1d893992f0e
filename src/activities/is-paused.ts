import type { JobClaim } from '../contract/activities.ts';
import { activeConnector, isPaused as isPausedError } from './runtime/active-connector.ts';
import type { ActivityDeps } from './runtime/deps.ts';

/** Whether the connector is paused. @throws CodedError FAILED_PRECONDITION if it is being deleted */
export async function isPaused(deps: ActivityDeps, { connectorId }: JobClaim): Promise<boolean> {
  try {
    await activeConnector(deps, connectorId);
    return false;
  } catch (error) {
    if (isPausedError(error)) return true;
    throw error;
  }
}
