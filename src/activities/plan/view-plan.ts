import type { ViewDescriptor, ViewRef } from '../../connectors/spi.ts';
import type {
  Binding,
  EnsureViewRequest,
  EnsureViewResponse,
} from '../../generated/reconciler/internal/v1/bindings.ts';
import type { Connector } from '../../generated/reconciler/v1/connectors.ts';
import { View } from '../../generated/reconciler/v1/views.ts';
import { formatName } from '../../names.ts';
import type { Change } from '../dry-run/change.ts';
import type { ViewSource } from '../listing/view-source.ts';
import { destinationOf, hasMoved, requireNamespace, type TableDestination } from '../options/destination.ts';
import type { ActivityDeps } from '../runtime/deps.ts';
import type { DestinationNamespaces } from './destination-namespaces.ts';
import { refuseOversizeView } from './refuse-oversize.ts';

export interface ViewIngest {
  deps: Pick<ActivityDeps, 'catalog'>;
  connector: Connector;
  upstream: ViewSource;
  /** Write all views, also those with an unchanged fingerprint. */
  full: boolean;
  namespaces: DestinationNamespaces;
}

/** A view that is to be written. */
export interface ViewPlan {
  view: ViewRef;
  destination: TableDestination;
  /** What is bound to the view's upstream name. */
  before: Binding | undefined;
  request: Omit<EnsureViewRequest, 'validateOnly' | 'replacesTable' | 'view'> & { view: View };
}

/** What the catalog did with a view, or would do. */
export interface ViewResult extends Pick<EnsureViewResponse, 'changed' | 'made'> {
  /** It takes its name from a table that is gone upstream. */
  replacesTable: boolean;
}

/** Reads a view of the upstream. @returns undefined if it is in the catalog as it is */
export async function planView(
  { connector, upstream, full, namespaces }: ViewIngest,
  view: ViewRef,
  before: Binding | undefined,
): Promise<ViewPlan | undefined> {
  const descriptor = await upstream.describeView(view);
  const destination = destinationOf(connector, view);
  if (!full && before && isUnchanged(before, descriptor, destination)) return undefined;
  requireNamespace(destination, view, 'View');
  refuseOversizeView(view, descriptor);
  const request = {
    connectorId: connector.connectorId,
    upstream: { namespacePath: [...view.namespace], name: view.name },
    uuid: descriptor.uuid,
    fingerprint: descriptor.fingerprint,
    view: View.fromPartial({
      namespaceId: await namespaces.idOf(destination.namespacePath),
      name: destination.name,
      versionId: descriptor.versionId,
      schema: { schemaId: descriptor.schema.id, json: descriptor.schema.json },
      representations: descriptor.representations.map(({ sql, dialect }) => ({ sql, dialect })),
      defaultCatalog: descriptor.defaultCatalog,
      defaultNamespace: [...descriptor.defaultNamespace],
      properties: descriptor.properties,
    }),
  };
  return { view, destination, before, request };
}

/** A view's plan in words. */
export function viewChange({ view, destination, before }: ViewPlan, { made }: ViewResult): Change {
  const reasons = [
    ...(before?.missing ? ['exists upstream again'] : []),
    ...(before?.objectId && hasMoved(before, destination)
      ? [`moves from ${formatName([...before.namespacePath, before.name])}`]
      : []),
    ...(before?.objectId === '' ? ['takes over the view of that name, which no connector owns'] : []),
  ];
  return {
    kind: 'VIEW',
    action: made ? 'CREATE' : 'UPDATE',
    name: [...view.namespace, view.name],
    destination: [...destination.namespacePath, destination.name],
    reason: made ? 'not in the catalog yet' : reasons.join(', ') || 'its definition changed',
  };
}

function isUnchanged(before: Binding, { fingerprint }: ViewDescriptor, destination: TableDestination): boolean {
  return (
    before.objectId !== '' && !before.missing && before.fingerprint === fingerprint && !hasMoved(before, destination)
  );
}
