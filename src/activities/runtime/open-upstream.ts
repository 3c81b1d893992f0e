import { activityInfo } from '@temporalio/activity';
import type { ConnectorSpec } from '../../connectors/connector-spec.ts';
import type { UpstreamCatalog } from '../../connectors/spi.ts';
import { AuthScheme, type Connector, ConnectorKind } from '../../generated/reconciler/v1/connectors.ts';
import { addFields } from '../../telemetry/tracing/scope.ts';
import type { ActivityDeps } from './deps.ts';

const KINDS = {
  [ConnectorKind.CONNECTOR_KIND_UNSPECIFIED]: 'ICEBERG',
  [ConnectorKind.CONNECTOR_KIND_ICEBERG]: 'ICEBERG',
  [ConnectorKind.CONNECTOR_KIND_DELTA]: 'DELTA',
  [ConnectorKind.CONNECTOR_KIND_GLUE]: 'GLUE',
  [ConnectorKind.CONNECTOR_KIND_UNITY]: 'UNITY',
} as const;

const SCHEMES: Record<AuthScheme, string> = {
  [AuthScheme.AUTH_SCHEME_UNSPECIFIED]: '',
  [AuthScheme.AUTH_SCHEME_NONE]: 'none',
  [AuthScheme.AUTH_SCHEME_BEARER]: 'bearer',
  [AuthScheme.AUTH_SCHEME_OAUTH2]: 'oauth2',
  [AuthScheme.AUTH_SCHEME_SIGV4]: 'sigv4',
  [AuthScheme.AUTH_SCHEME_AWS]: 'aws',
};

export const kindOf = ({ kind }: Pick<Connector, 'kind'>) => KINDS[kind];

/** Opens the upstream that a stored connector describes. The activities of a job share it. */
export function openUpstream(
  deps: Pick<ActivityDeps, 'openConnector'>,
  connector: Connector,
): Promise<UpstreamCatalog> {
  return deps.openConnector(specOf(connector), activityInfo().workflowExecution?.workflowId ?? '');
}

/** Opens it for this use alone: a shared upstream may have been opened with a secret that has changed since. */
export function openUpstreamUncached(
  deps: Pick<ActivityDeps, 'openUncached'>,
  connector: Connector,
): Promise<UpstreamCatalog> {
  return deps.openUncached(specOf(connector));
}

function specOf({ connectorId, displayName, kind, uri, properties, auth, policy }: Connector): ConnectorSpec {
  // From here on, the activity's log lines name the connector.
  addFields({ connector: displayName });
  return {
    ...(connectorId && policy?.maxRequestsPerSecond && { cappedId: connectorId }),
    kind: kindOf({ kind }),
    uri,
    properties,
    auth: {
      scheme: SCHEMES[auth?.scheme ?? AuthScheme.AUTH_SCHEME_UNSPECIFIED],
      secretRef: auth?.secretRef ?? '',
      headerHints: auth?.headerHints ?? {},
      properties: auth?.properties ?? {},
    },
  };
}
