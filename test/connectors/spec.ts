import type { ConnectorSpec } from '../../src/connectors/connector-spec.ts';

/** A connector without options or credentials. */
export function plainSpec(kind: ConnectorSpec['kind'], uri: string): ConnectorSpec {
  return { kind, uri, properties: {}, auth: { scheme: '', secretRef: '', headerHints: {}, properties: {} } };
}
