import type { Tenant } from '../../generated/reconciler/v1/tenants.ts';
import { details } from '../io/details.ts';
import { time } from '../io/format.ts';
import { LIMITS, limitText } from './limits.ts';

export const namespaceText = ({ temporalNamespace }: Tenant) => temporalNamespace || 'shared';
export const queueText = ({ taskQueue }: Tenant) => taskQueue || 'common';

export function describeTenant(tenant: Tenant): string[] {
  return details([
    ['tenant', tenant.tenantId],
    ['description', tenant.description],
    ['Temporal namespace', tenant.temporalNamespace || 'that of the catalog service'],
    ['task queue', tenant.taskQueue || 'the common one'],
    ...LIMITS.map((limit): [string, string] => [limit.meaning, limitText(tenant.limits, limit)]),
    ['created', time(tenant.createdAt)],
    ['updated', time(tenant.updatedAt)],
    ['etag', tenant.etag],
  ]);
}
