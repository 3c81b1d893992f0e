import { defaultPayloadConverter } from '@temporalio/common';
import type { ActivityInterceptorsFactory } from '@temporalio/worker';
import type { CatalogClients } from '../../catalog-client/connect.ts';
import { withTenant } from '../../catalog-client/tenant.ts';
import { ALL_TENANTS, DEFAULT_TENANT, TENANT_HEADER } from '../../contract/tenant.ts';
import { CONTROL_ATTEMPTS, toFailure } from './failures.ts';

/**
 * Does an activity for the tenant of its workflow, so that the catalog and the worker's policy agree on whose it is.
 *
 * @param ownTenant the tenant of workflows whose request names none
 */
export function inTenant(ownTenant: () => Promise<string>): ActivityInterceptorsFactory {
  return ({ info }) => ({
    inbound: {
      async execute(input, next) {
        const header = input.headers[TENANT_HEADER];
        const tenant =
          header === undefined
            ? await ownTenant().catch((error) => Promise.reject(toFailure(error, info.attempt, CONTROL_ATTEMPTS)))
            : defaultPayloadConverter.fromPayload<string>(header);
        return withTenant(tenant, () => next(input));
      },
    },
  });
}

/**
 * The tenant of a worker, which is asked for when it is first needed.
 *
 * @returns the tenant of RECONCILER_TENANT, the only one of the worker's token, or `default`
 */
export function tenantOfWorker({ tokens }: Pick<CatalogClients, 'tokens'>, configured?: string): () => Promise<string> {
  let known = configured;
  return async () => {
    if (known !== undefined) return known;
    const { tenantIds } = await tokens.getCaller({});
    const [only = ALL_TENANTS, ...others] = tenantIds;
    known = only === ALL_TENANTS || others.length > 0 ? DEFAULT_TENANT : only;
    return known;
  };
}
