import { ClientError, Status } from 'nice-grpc';
import type { UpstreamCatalog, ViewRef } from '../../connectors/spi.ts';
import type { TableRef } from '../../contract/upstream-names.ts';
import { CodedError } from '../../errors.ts';
import type { Connector } from '../../generated/reconciler/v1/connectors.ts';
import { lookUpBindings } from '../missing/bindings.ts';
import type { ActivityDeps } from '../runtime/deps.ts';

/*
 * Tables and views share the names of a namespace, upstream and here. If a table was dropped and a view created under its name, or the other
 * way round, the old object still has the name here. It is replaced only if it was ingested from that very upstream name and the upstream,
 * queried again, no longer has it: a listing alone is no proof. This is checked only after a conflict.
 */

/** The catalog refused because the name belongs to something else. */
export function isNameTaken(error: unknown): boolean {
  return error instanceof ClientError && error.code === Status.ALREADY_EXISTS;
}

/** Whether the connector has ingested a table from the view's upstream name, and the table is gone there. */
export async function tableDroppedUpstream(
  deps: Pick<ActivityDeps, 'catalog'>,
  upstream: UpstreamCatalog,
  connector: Pick<Connector, 'connectorId'>,
  view: ViewRef,
): Promise<boolean> {
  const [binding] = await lookUpBindings(deps, connector, 'tables', [view]);
  return Boolean(binding?.objectId) && isGone(upstream.fingerprint(view));
}

/** Whether the connector has ingested a view from the table's upstream name, and the view is gone there. */
export async function viewDroppedUpstream(
  deps: Pick<ActivityDeps, 'catalog'>,
  upstream: UpstreamCatalog,
  connector: Pick<Connector, 'connectorId'>,
  table: TableRef,
): Promise<boolean> {
  const [binding] = await lookUpBindings(deps, connector, 'views', [table]);
  if (!binding?.objectId) return false;
  return upstream.describeView === undefined || isGone(upstream.describeView(table));
}

async function isGone(read: Promise<unknown>): Promise<boolean> {
  return read.then(
    () => false,
    (error) => error instanceof CodedError && error.code === 'NOT_FOUND',
  );
}
