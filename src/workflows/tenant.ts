import { defaultPayloadConverter, type Payload } from '@temporalio/common';
import type { WorkflowInterceptors } from '@temporalio/workflow';
import { TENANT_HEADER, TENANT_ID } from '../contract/tenant.ts';

/**
 * Passes the tenant that a workflow's request names on to its activities and children, in a header: no input and no command depends on it. A workflow whose
 * request names none sends no header.
 */
export function interceptors(): WorkflowInterceptors {
  let header: Payload | undefined;
  const withTenant = <I extends { headers: Record<string, Payload> }>(input: I): I =>
    header === undefined ? input : { ...input, headers: { ...input.headers, [TENANT_HEADER]: header } };
  return {
    inbound: [
      {
        execute(input, next) {
          const { tenant } = (input.args[0] ?? {}) as { tenant?: unknown };
          const isTenant = typeof tenant === 'string' && TENANT_ID.test(tenant);
          header = isTenant ? defaultPayloadConverter.toPayload(tenant) : input.headers[TENANT_HEADER];
          return next(input);
        },
      },
    ],
    outbound: [
      {
        scheduleActivity: (input, next) => next(withTenant(input)),
        startChildWorkflowExecution: (input, next) => next(withTenant(input)),
        continueAsNew: (input, next) => next(withTenant(input)),
      },
    ],
  };
}
