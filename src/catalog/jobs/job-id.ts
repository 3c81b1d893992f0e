import { DEFAULT_TENANT } from '../../contract/tenant.ts';
import { sortableId } from '../identity/ids.ts';

/** A new job id: readable, safe in a URL, and sorted after the connector's older job ids. */
export function jobIdFor(tenant: string, connectorName: string): string {
  return `${jobIdPrefix(tenant, connectorName)}-${sortableId()}`;
}

/** The prefix of the ids of a connector's jobs. It names the tenant, unless that is the default one: tenants share a Temporal namespace. */
export function jobIdPrefix(tenant: string, connectorName: string): string {
  const plain = connectorName
    .normalize('NFKD')
    .replace(/[^A-Za-z0-9._-]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 60);
  const owner = tenant === DEFAULT_TENANT ? '' : `${tenant}-`;
  return `reconcile-${owner}${plain || 'connector'}`;
}
