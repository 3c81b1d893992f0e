import type { Kysely } from 'kysely';
import type { PutUpstreamViewRequest, UpstreamTable } from '../../../generated/reconciler/internal/v1/bindings.ts';
import type { Connector } from '../../../generated/reconciler/v1/connectors.ts';
import type { Namespace } from '../../../generated/reconciler/v1/namespaces.ts';
import type { View } from '../../../generated/reconciler/v1/views.ts';
import { pathKey } from '../database/path-key.ts';
import type { Schema } from '../database/schema.ts';
import {
  getViewRow,
  insertView,
  moveView,
  type StoredView,
  toMessage,
  updateViewRow,
  viewBody,
} from '../tables/views.ts';
import { boundAmong, findBoundId } from './bound-names.ts';
import { deleteOwner, findNameOwner, isBoundTo, nameTaken } from './name-conflict.ts';

type Db = Kysely<Schema>;

/**
 * Brings the view that an upstream view is bound to up to what the upstream says. It is made where there is none, and moved where
 * the destination has changed. A description that people gave it stays.
 *
 * @returns `emptied` where the contents of a table that gave way wait to be removed
 * @throws CodedError ALREADY_EXISTS where the name belongs to something else
 */
export async function putUpstreamView(
  db: Db,
  request: PutUpstreamViewRequest,
  given: View,
  upstream: UpstreamTable,
  connector: Connector,
  namespace: Namespace,
): Promise<{ viewId: string; changed: boolean; made: boolean; emptied: boolean }> {
  const boundId = await findBoundId(db, 'views', connector.connectorId, upstream);
  const bound = boundId === undefined ? undefined : await getViewRow(db, boundId);
  const inPlace = bound && bound.namespace_id === namespace.namespaceId && bound.name === given.name;
  let holder = inPlace ? undefined : await findNameOwner(db, namespace.namespaceId, given.name);
  const emptied =
    holder !== undefined && holder.kind === 'tables' && request.replacesTable && isBoundTo(holder, connector, upstream);
  if (holder && emptied) {
    await deleteOwner(db, holder);
    holder = undefined;
  }
  if (holder && (bound || holder.owner || holder.kind === 'tables')) {
    throw nameTaken('views', namespace, given.name, holder, connector);
  }
  if (bound && !inPlace) await moveView(db, bound.view_id, namespace.namespaceId, namespace.catalogId, given.name);

  const row = bound ?? (holder && (await getViewRow(db, holder.id)));
  if (!row) {
    const { uuid, fingerprint, connectorId } = request;
    const { namespacePath, name: tableName } = upstream;
    const { viewId } = await insertView(db, {
      ...given,
      description: '',
      upstream: {
        connectorId,
        namespacePath,
        tableName,
        uuid,
        fingerprint,
        fetchedAt: new Date(),
        missingSince: undefined,
        coverage: '',
      },
    });
    return { viewId, changed: true, made: true, emptied };
  }
  const changed = await refresh(db, row, request, given, upstream);
  return { viewId: row.view_id, changed: changed || !inPlace, made: false, emptied };
}

/** Writes nothing where nothing differs. */
async function refresh(
  db: Db,
  row: StoredView,
  request: PutUpstreamViewRequest,
  given: View,
  upstream: UpstreamTable,
): Promise<boolean> {
  const { description } = toMessage(row);
  const wanted: Partial<StoredView> = {
    body: viewBody({ ...given, description }),
    connector_id: request.connectorId,
    upstream_path_key: pathKey(upstream.namespacePath),
    upstream_name: upstream.name,
    upstream_uuid: request.uuid,
    fingerprint: request.fingerprint,
    missing_since: null,
  };
  const differs = Object.entries(wanted).some(([column, value]) => row[column as keyof StoredView] !== value);
  if (differs) await updateViewRow(db, row.view_id, { ...wanted, fetched_at: Date.now() });
  return differs;
}

/** @returns how many were not missing before */
export async function markViewsMissing(db: Db, connectorId: string, viewIds: readonly string[]): Promise<number> {
  const ids = await boundAmong(db, 'views', connectorId, viewIds);
  for (const id of ids) await updateViewRow(db, id, { missing_since: Date.now() });
  return ids.length;
}
