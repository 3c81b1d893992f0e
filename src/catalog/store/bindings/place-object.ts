import { CodedError } from '../../../errors.ts';
import { ObjectKind, type UpstreamName } from '../../../generated/reconciler/internal/v1/bindings.ts';
import type { Connector } from '../../../generated/reconciler/v1/connectors.ts';
import type { Namespace } from '../../../generated/reconciler/v1/namespaces.ts';
import { formatName } from '../../../names.ts';
import { findConnector } from '../connectors/connectors.ts';
import { pathKey, pathOfKey } from '../database/path-key.ts';
import type { Scoped } from '../database/scoped.ts';
import { findObject } from '../namespaces/object-names.ts';
import { findBoundId } from './bindings.ts';
import { deleteObject, moveObject } from './objects.ts';

type Db = Scoped;

/** Where a connector places the table or view that it ingests from an upstream name. */
export interface Placement {
  kind: ObjectKind;
  connector: Connector;
  upstream: UpstreamName;
  namespace: Namespace;
  name: string;
  /** An object of the other kind that is bound to the same upstream name is deleted if it has the name. */
  replacesOtherKind: boolean;
}

export interface PlacedObject {
  /** Undefined if there is none yet. The name is free then. */
  id?: string;
  /** It was bound already, and had another namespace or name. */
  moved: boolean;
  /** No connector owned it; it is not bound yet. */
  takenOver: boolean;
  /** An object of the other kind had the name and was deleted. */
  replaced: boolean;
}

/**
 * Finds the object that is bound to the upstream name, or the unowned object that has the name, and moves it to its namespace and name.
 *
 * @throws CodedError ALREADY_EXISTS if the name belongs to something else
 */
export async function placeObject(db: Db, placement: Placement): Promise<PlacedObject> {
  const { kind, connector, upstream, namespace, name } = placement;
  const boundId = await findBoundId(db, kind, connector.connectorId, upstream);
  const ownerId = await findObject(db, namespace.namespaceId, name);
  const found = { id: boundId, moved: false, takenOver: false, replaced: false };
  if (ownerId !== undefined && ownerId !== boundId) {
    const owner = await getNameOwner(db, ownerId);
    if (placement.replacesOtherKind && owner.kind !== kind && isBoundTo(owner, connector, upstream)) {
      await deleteObject(db, owner.kind, owner.id);
      found.replaced = true;
    } else if (boundId !== undefined || owner.connector || owner.kind !== kind) {
      throw nameTaken(placement, owner);
    } else {
      return { ...found, id: ownerId, takenOver: true };
    }
  }
  if (boundId === undefined || boundId === ownerId) return found;
  await moveObject(db, kind, boundId, namespace, name);
  return { ...found, moved: true };
}

/** A table or view, with its binding. */
interface NameOwner {
  kind: ObjectKind;
  id: string;
  /** Undefined if no connector owns it. */
  connector?: Connector;
  upstreamPathKey: string;
  upstreamName: string;
}

async function getNameOwner(db: Db, id: string): Promise<NameOwner> {
  const binding = await db
    .selectFrom('bindings')
    .select(['connector_id', 'upstream_path_key', 'upstream_name'])
    .where('tenant_id', '=', db.tenant)
    .where('object_id', '=', id)
    .executeTakeFirst();
  const connectorId = binding?.connector_id ?? undefined;
  return {
    kind: id.startsWith('view_') ? ObjectKind.OBJECT_KIND_VIEW : ObjectKind.OBJECT_KIND_TABLE,
    id,
    connector: connectorId === undefined ? undefined : await findConnector(db, connectorId),
    upstreamPathKey: binding?.upstream_path_key ?? '',
    upstreamName: binding?.upstream_name ?? '',
  };
}

function isBoundTo(owner: NameOwner, { connectorId }: Connector, { namespacePath, name }: UpstreamName): boolean {
  return (
    owner.connector?.connectorId === connectorId &&
    owner.upstreamPathKey === pathKey(namespacePath) &&
    owner.upstreamName === name
  );
}

/** ALREADY_EXISTS: the name that a connector needs for a table or view belongs to something else. */
function nameTaken({ kind, namespace, name, connector }: Placement, owner: NameOwner): CodedError {
  const noun = (objectKind: ObjectKind) => (objectKind === ObjectKind.OBJECT_KIND_TABLE ? 'table' : 'view');
  const full = formatName([...namespace.path, name]);
  const object = `${noun(owner.kind)} ${owner.id}`;
  const source = formatName([...pathOfKey(owner.upstreamPathKey), owner.upstreamName]);
  const whose = owner.connector
    ? `'${source}' of connector '${owner.connector.displayName}' (${object})`
    : `${object} that no connector owns`;
  return new CodedError(
    'ALREADY_EXISTS',
    `${noun(kind)} '${full}' belongs to ${whose}: give connector '${connector.displayName}' another destination, or delete the ${noun(owner.kind)}`,
  );
}
