import { defaultPayloadConverter } from '@temporalio/common';
import type { ActivityInterceptorsFactory } from '@temporalio/worker';
import { withTenant } from '../../catalog-client/tenant.ts';
import { TENANT_HEADER } from '../../contract/tenant.ts';

/** Does an activity for the tenant of its workflow. Without one, the catalog decides by the worker's token whose it is. */
export const inTenant: ActivityInterceptorsFactory = () => ({
  inbound: {
    async execute(input, next) {
      const header = input.headers[TENANT_HEADER];
      if (header === undefined) return next(input);
      return withTenant(defaultPayloadConverter.fromPayload<string>(header), () => next(input));
    },
  },
});
