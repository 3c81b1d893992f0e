import type { CatalogClients } from '../../catalog-client/connect.ts';
import { withDeadline } from '../catalog-session/context.ts';
import { connectorOf } from '../catalog-session/resolve.ts';
import { HintedError } from '../io/errors.ts';

/**
 * What ListReconcileJobs accepts as a connector: the id of an existing one, or the name or id of a deleted one that has left jobs.
 *
 * @throws HintedError if there is neither
 */
export async function connectorOfJobs(clients: CatalogClients, nameOrId: string): Promise<string> {
  try {
    return (await connectorOf(clients, nameOrId)).connectorId;
  } catch (error) {
    // A call that failed otherwise.
    if (!(error instanceof HintedError)) throw error;
    const { jobs } = await clients.jobs.listReconcileJobs({ connectorId: nameOrId, pageSize: 1 }, withDeadline());
    if (jobs.length === 0) throw error;
    return nameOrId;
  }
}
