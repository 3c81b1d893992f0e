import type { Connector as OpenConnector } from '../connectors/spi.ts';
import { type Connector, ConnectorKind } from '../generated/reconciler/v1/connectors.ts';
import type { ActivityDeps } from './deps.ts';

const KINDS = {
  [ConnectorKind.CONNECTOR_KIND_UNSPECIFIED]: 'ICEBERG',
  [ConnectorKind.CONNECTOR_KIND_ICEBERG]: 'ICEBERG',
  [ConnectorKind.CONNECTOR_KIND_DELTA]: 'DELTA',
  [ConnectorKind.CONNECTOR_KIND_GLUE]: 'GLUE',
  [ConnectorKind.CONNECTOR_KIND_UNITY]: 'UNITY',
} as const;

/** Opens the upstream that a stored connector describes. */
export function openSource(deps: Pick<ActivityDeps, 'openConnector'>, connector: Connector): Promise<OpenConnector> {
  return deps.openConnector({ kind: KINDS[connector.kind], uri: connector.uri, properties: connector.properties });
}
