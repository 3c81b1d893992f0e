import {
  type EnsureViewRequest,
  type EnsureViewResponse,
  ObjectKind,
  type UpstreamName,
} from '../../../generated/reconciler/internal/v1/bindings.ts';
import type { Connector } from '../../../generated/reconciler/v1/connectors.ts';
import type { Namespace } from '../../../generated/reconciler/v1/namespaces.ts';
import type { View } from '../../../generated/reconciler/v1/views.ts';
import { pathKey } from '../database/path-key.ts';
import type { Scoped } from '../database/scoped.ts';
import { difference, rebind } from '../tables/binding-columns.ts';
import { getViewRow, insertView, type StoredView, toMessage, updateViewRow, viewBody } from '../tables/views.ts';
import { placeObject } from './place-object.ts';

type Db = Scoped;
const VIEW = ObjectKind.OBJECT_KIND_VIEW;

/**
 * Brings the view that is bound to an upstream view up to date with the upstream. It is created if there is none, and moved if the
 * destination has changed. A description that a user wrote is kept.
 *
 * @returns `emptied` if a table was replaced, whose contents wait to be purged
 * @throws CodedError ALREADY_EXISTS if the name belongs to something else
 */
export async function ensureView(
  db: Db,
  request: EnsureViewRequest,
  view: View,
  upstream: UpstreamName,
  connector: Connector,
  namespace: Namespace,
): Promise<EnsureViewResponse & { emptied: boolean }> {
  const placement = {
    ...{ kind: VIEW, connector, upstream, namespace },
    name: view.name,
    replacesOtherKind: request.replacesTable,
  };
  const { id, moved, replaced: emptied } = await placeObject(db, placement);
  if (id === undefined) {
    const { viewId } = await insertView(db, {
      ...view,
      description: '',
      upstream: {
        connectorId: request.connectorId,
        namespacePath: upstream.namespacePath,
        tableName: upstream.name,
        uuid: request.uuid,
        fingerprint: request.fingerprint,
        fetchedAt: new Date(),
        missingSince: undefined,
        coverage: '',
      },
    });
    return { viewId, changed: true, made: true, emptied };
  }
  const changed = await refresh(db, await getViewRow(db, id), request, view, upstream);
  return { viewId: id, changed: changed || moved, made: false, emptied };
}

/** Writes nothing if nothing differs. */
async function refresh(
  db: Db,
  row: StoredView,
  request: EnsureViewRequest,
  view: View,
  upstream: UpstreamName,
): Promise<boolean> {
  const body = viewBody({ ...view, description: toMessage(row).description });
  const binding = {
    connector_id: request.connectorId,
    upstream_path_key: pathKey(upstream.namespacePath),
    upstream_name: upstream.name,
    upstream_uuid: request.uuid,
    fingerprint: request.fingerprint,
    coverage: '',
    missing_since: null,
  };
  if (Object.keys(difference(row, { body, ...binding })).length === 0) return false;
  await updateViewRow(db, row.view_id, { body });
  await rebind(db, VIEW, row.view_id, row, { ...binding, fetched_at: Date.now() });
  return true;
}
