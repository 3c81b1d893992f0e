import { ClientError, Status } from 'nice-grpc';
import type { UpstreamCatalog, ViewRef } from '../../connectors/spi.ts';
import type { TableRef } from '../../contract/upstream-names.ts';
import { CodedError } from '../../errors.ts';
import { OBJECT_KIND } from '../missing/bindings.ts';
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
  { catalog }: Pick<ActivityDeps, 'catalog'>,
  upstream: UpstreamCatalog,
  connectorId: string,
  { namespace, name }: ViewRef,
): Promise<boolean> {
  const names = [{ namespacePath: [...namespace], name }];
  const { bindings } = await catalog.bindings.lookupBindings({ connectorId, kind: OBJECT_KIND.tables, names });
  return Boolean(bindings[0]?.objectId) && isGone(upstream.fingerprint({ namespace, name }));
}

/** Whether the connector has ingested a view from the table's upstream name, and the view is gone there. */
export async function viewDroppedUpstream(
  { catalog }: Pick<ActivityDeps, 'catalog'>,
  upstream: UpstreamCatalog,
  connectorId: string,
  { namespace, name }: TableRef,
): Promise<boolean> {
  const names = [{ namespacePath: [...namespace], name }];
  const { bindings } = await catalog.bindings.lookupBindings({ connectorId, kind: OBJECT_KIND.views, names });
  if (!bindings[0]?.objectId) return false;
  return upstream.describeView === undefined || isGone(upstream.describeView({ namespace, name }));
}

async function isGone(read: Promise<unknown>): Promise<boolean> {
  return read.then(
    () => false,
    (error) => error instanceof CodedError && error.code === 'NOT_FOUND',
  );
}
