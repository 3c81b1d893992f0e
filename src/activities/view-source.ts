import type { Connector as OpenConnector } from '../connectors/spi.ts';
import type { Connector } from '../generated/reconciler/v1/connectors.ts';
import type { ReconcileScope } from '../workflows/contract.ts';

/** An upstream that has views. */
export type ViewSource = OpenConnector & Required<Pick<OpenConnector, 'listViews' | 'describeView'>>;

export function hasViews(source: OpenConnector): source is ViewSource {
  return source.listViews !== undefined && source.describeView !== undefined;
}

/** Whether a run brings in views. Whoever names a table, in the connector's source or in the run's scope, means that table alone. */
export function takesViews(
  source: OpenConnector,
  connector: Connector,
  scope: ReconcileScope | undefined,
): source is ViewSource {
  return hasViews(source) && !connector.source?.table && !scope?.table;
}
