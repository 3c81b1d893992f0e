import { ClientError, Status } from 'nice-grpc';
import type { UpstreamCatalog, ViewRef } from '../../connectors/spi.ts';
import type { TableRef } from '../../contract/upstream-names.ts';
import { CodedError } from '../../errors.ts';
import { OBJECT_KIND } from '../missing/bindings.ts';
import type { ActivityDeps } from '../runtime/deps.ts';

/*
 * Tables and views share the names of a namespace, upstream and here. Where a table was dropped and a view made under its name, or
 * the other way round, the old one still has the name here. It gives way only if it was brought from that very upstream name and
 * the upstream, asked again, does not have it any more: a listing alone is no proof. This is asked only after a conflict.
 */

/** The catalog refused since the name belongs to something else. */
export function isNameTaken(error: unknown): boolean {
  return error instanceof ClientError && error.code === Status.ALREADY_EXISTS;
}

/** Whether the connector brought a table from the view's upstream name, and the table is gone there. */
export async function tableDroppedUpstream(
  { catalog }: Pick<ActivityDeps, 'catalog'>,
  source: UpstreamCatalog,
  connectorId: string,
  { namespace, name }: ViewRef,
): Promise<boolean> {
  const request = { connectorId, kind: OBJECT_KIND.tables, names: [{ namespacePath: [...namespace], name }] };
  const { bindings } = await catalog.bindings.lookupBindings(request);
  return Boolean(bindings[0]?.objectId) && isGone(source.fingerprint({ namespace, name }));
}

/** Whether the connector brought a view from the table's upstream name, and the view is gone there. */
export async function viewDroppedUpstream(
  { catalog }: Pick<ActivityDeps, 'catalog'>,
  source: UpstreamCatalog,
  connectorId: string,
  { namespace, name }: TableRef,
): Promise<boolean> {
  const request = { connectorId, kind: OBJECT_KIND.views, names: [{ namespacePath: [...namespace], name }] };
  const { bindings } = await catalog.bindings.lookupBindings(request);
  if (!bindings[0]?.objectId) return false;
  return source.describeView === undefined || isGone(source.describeView({ namespace, name }));
}

async function isGone(question: Promise<unknown>): Promise<boolean> {
  return question.then(
    () => false,
    (error) => error instanceof CodedError && error.code === 'NOT_FOUND',
  );
}
