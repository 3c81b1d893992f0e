import { currentTenant } from '../../catalog-client/tenant.ts';
import type { RequestOptions } from '../../contract/activities.ts';
import type { ReconcileRequest } from '../../contract/job.ts';
import type { ActivityDeps } from '../runtime/deps.ts';

/** Jobs whose requests are kept. A worker hardly ever works for more jobs with long requests at once. */
const MAX_REQUESTS = 50;
/** By tenant and job. A request never changes. */
const requests = new Map<string, Promise<ReconcileRequest>>();

/** The input with the options of its job's request, if they are too long to be repeated in each input. */
export async function withRequest<I>({ catalog }: Pick<ActivityDeps, 'catalog'>, input: I): Promise<I> {
  const { requestOf: jobId } = (input ?? {}) as RequestOptions;
  if (jobId === undefined) return input;
  const key = `${currentTenant()} ${jobId}`;
  let request = requests.get(key);
  if (!request) {
    request = catalog.connectors.getReconcileJob({ jobId }).then(({ requestJson }) => JSON.parse(requestJson));
    requests.set(key, request);
    // The next activity tries again.
    request.catch(() => requests.delete(key));
    if (requests.size > MAX_REQUESTS) requests.delete(requests.keys().next().value as string);
  }
  const { scope, snapshots } = await request;
  return { ...input, scope, snapshots };
}
