import { CodedError } from '../../errors.ts';
import { AuthConfig, type Connector } from '../../generated/reconciler/v1/connectors.ts';
import { isAllowed } from '../auth/permissions.ts';
import { currentCall } from '../identity/current-call.ts';

/**
 * What the caller may see of a connector. Only admins, who write them, and workers, who need them, see the fields that may contain or name
 * secrets: properties, header hints, references to secrets, and where alerts go.
 */
export function visibleConnector(connector: Connector): Connector {
  const roles = currentCall()?.principal.roles;
  if (roles === undefined || isAllowed(roles, ['administer', 'work'])) return connector;
  const auth = connector.auth && AuthConfig.create({ scheme: connector.auth.scheme });
  return { ...connector, properties: {}, auth, alerts: undefined };
}

/** Whether the caller may update these fields: an operator pauses and resumes. @throws CodedError PERMISSION_DENIED */
export function refuseOperator(paths: readonly string[]): void {
  const principal = currentCall()?.principal;
  if (principal === undefined || isAllowed(principal.roles, ['administer'])) return;
  const other = paths.find((path) => path !== 'state');
  if (other === undefined) return;
  throw new CodedError(
    'PERMISSION_DENIED',
    `UpdateConnector of ${other} needs the permission administer: '${principal.subject}' may only set the state, which pauses and resumes`,
  );
}
