import type { Kysely } from 'kysely';
import { CodedError } from '../../../errors.ts';
import type { UpstreamTable } from '../../../generated/reconciler/internal/v1/bindings.ts';
import type { Connector } from '../../../generated/reconciler/v1/connectors.ts';
import type { Namespace } from '../../../generated/reconciler/v1/namespaces.ts';
import { formatName } from '../../../names.ts';
import { findConnector } from '../connectors/connectors.ts';
import { pathKey, pathOfKey } from '../database/path-key.ts';
import type { Schema } from '../database/schema.ts';
import { findObject } from '../namespaces/object-names.ts';
import { deleteTable, getTableRow } from '../tables/tables.ts';
import { deleteView, getViewRow } from '../tables/views.ts';
import type { BoundKind } from './bound-names.ts';

type Db = Kysely<Schema>;

/** What has a name in a namespace, and whose it is. */
export interface NameOwner {
  kind: BoundKind;
  id: string;
  /** Of a table; see table_contents. */
  tableNum?: number;
  /** Undefined where no connector owns it: it may be taken over by one that brings the same kind. */
  owner?: Connector;
  upstreamPathKey: string;
  upstreamName: string;
}

export async function findNameOwner(db: Db, namespaceId: string, name: string): Promise<NameOwner | undefined> {
  const id = await findObject(db, namespaceId, name);
  if (id === undefined) return undefined;
  const table = id.startsWith('view_') ? undefined : await getTableRow(db, id);
  const row = table ?? (await getViewRow(db, id));
  return {
    kind: table ? 'tables' : 'views',
    id,
    tableNum: table?.table_num,
    owner: row.connector_id === null ? undefined : await findConnector(db, row.connector_id),
    upstreamPathKey: row.upstream_path_key ?? '',
    upstreamName: row.upstream_name ?? '',
  };
}

/** Whether the connector brought it from the upstream name. */
export function isBoundTo(holder: NameOwner, connector: Connector, upstream: UpstreamTable): boolean {
  return (
    holder.owner?.connectorId === connector.connectorId &&
    holder.upstreamPathKey === pathKey(upstream.namespacePath) &&
    holder.upstreamName === upstream.name
  );
}

/** Deletes the holder with what it holds, so that its name is free. */
export async function deleteOwner(db: Db, { id, tableNum }: NameOwner): Promise<void> {
  if (tableNum === undefined) await deleteView(db, id);
  else await deleteTable(db, id, tableNum);
}

/** ALREADY_EXISTS: the name that a connector's table or view is to have belongs to something else. */
export function nameTaken(
  kind: BoundKind,
  namespace: Namespace,
  name: string,
  holder: NameOwner,
  connector: Connector,
): CodedError {
  const full = formatName([...namespace.path, name]);
  const held = `${NOUN[holder.kind]} ${holder.id}`;
  const source = formatName([...pathOfKey(holder.upstreamPathKey), holder.upstreamName]);
  const whose = holder.owner
    ? `'${source}' of connector '${holder.owner.displayName}' (${held})`
    : `${held} that no connector owns`;
  return new CodedError(
    'ALREADY_EXISTS',
    `${NOUN[kind]} '${full}' belongs to ${whose}: give connector '${connector.displayName}' another destination, or delete the ${NOUN[holder.kind]}`,
  );
}

const NOUN = { tables: 'table', views: 'view' } as const;
