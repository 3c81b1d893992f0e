import type { Selectable } from 'kysely';
import {
  Connector,
  ConnectorState,
  connectorStateFromJSON,
  connectorStateToJSON,
} from '../../../generated/reconciler/v1/connectors.ts';
import { newEtag, newId } from '../../identity/ids.ts';
import { compiledQuery } from '../database/compiled-query.ts';
import { alreadyExists, notFound } from '../database/errors.ts';
import { deleteIdempotencyKeys } from '../database/idempotency.ts';
import { bytesOf, mapPage, type Page, readPage } from '../database/page-cut.ts';
import type { ConnectorRow } from '../database/schema.ts';
import type { Scoped } from '../database/scoped.ts';

type Db = Scoped;

/** @throws CodedError ALREADY_EXISTS */
export async function insertConnector(db: Db, connector: Connector): Promise<Connector> {
  await refuseTakenName(db, connector.displayName);
  const now = Date.now();
  const row: ConnectorRow = {
    connector_id: newId('con'),
    tenant_id: db.tenant,
    display_name: connector.displayName,
    state: connectorStateToJSON(connector.state),
    running_job_id: '',
    claim_epoch: 0,
    claim_run_id: '',
    delete_contents: 0,
    unverified_since: null,
    last_alert: '',
    body: body(connector),
    created_at: now,
    updated_at: now,
    etag: newEtag(),
  };
  await db.insertInto('connectors').values(row).execute();
  return connectorMessage(row);
}

/** @throws CodedError NOT_FOUND */
export async function getConnector(db: Db, id: string): Promise<Connector> {
  const found = await findConnector(db, id);
  if (!found) throw notFound('connector', id);
  return found;
}

export async function findConnector(db: Db, id: string): Promise<Connector | undefined> {
  const [row] = await byId(db, id, db.tenant);
  return row && connectorMessage(row);
}

const byId = compiledQuery((db, id: string, tenant: string) =>
  db.selectFrom('connectors').selectAll().where('connector_id', '=', id).where('tenant_id', '=', tenant),
);

export async function findConnectorByName(db: Db, name: string): Promise<Connector | undefined> {
  const row = await db
    .selectFrom('connectors')
    .selectAll()
    .where('tenant_id', '=', db.tenant)
    .where('display_name', '=', name)
    .executeTakeFirst();
  return row && connectorMessage(row);
}

/**
 * The connector with this id or, if there is none, with this display name.
 *
 * @throws CodedError NOT_FOUND
 */
export async function resolveConnector(db: Db, idOrName: string): Promise<Connector> {
  const found = (await findConnector(db, idOrName)) ?? (await findConnectorByName(db, idOrName));
  if (!found) throw notFound('connector', idOrName);
  return found;
}

/** Lists a page of at most `size` connectors after `after`, ordered by display name. */
export async function listConnectors(db: Db, size: number, after?: string): Promise<Page<Connector>> {
  let query = db.selectFrom('connectors').selectAll().where('tenant_id', '=', db.tenant);
  if (after !== undefined) query = query.where('display_name', '>', after);
  return mapPage(
    await readPage(query.orderBy('display_name'), bytesOf('display_name', 'body'), size),
    connectorMessage,
  );
}

/** @throws CodedError ALREADY_EXISTS if the new name is taken */
export async function updateConnector(db: Db, connector: Connector): Promise<Connector> {
  await refuseTakenName(db, connector.displayName, connector.connectorId);
  await db
    .updateTable('connectors')
    .set({
      display_name: connector.displayName,
      state: connectorStateToJSON(connector.state),
      body: body(connector),
      updated_at: Date.now(),
      etag: newEtag(),
    })
    .where('tenant_id', '=', db.tenant)
    .where('connector_id', '=', connector.connectorId)
    .execute();
  return getConnector(db, connector.connectorId);
}

/** Begins a connector's deletion: from now on it can only be deleted. */
export async function markDeleting(db: Db, connector: Connector, deleteContents: boolean): Promise<void> {
  const state = ConnectorState.CONNECTOR_STATE_DELETING;
  if (connector.state !== state) await updateConnector(db, { ...connector, state });
  await db
    .updateTable('connectors')
    .set({ delete_contents: deleteContents ? 1 : 0 })
    .where('tenant_id', '=', db.tenant)
    .where('connector_id', '=', connector.connectorId)
    .execute();
}

/** Whether the connector's tables and views are deleted together with it. */
export async function shouldDeleteContents(db: Db, id: string): Promise<boolean> {
  const query = db
    .selectFrom('connectors')
    .select('delete_contents')
    .where('tenant_id', '=', db.tenant)
    .where('connector_id', '=', id);
  return (await query.executeTakeFirst())?.delete_contents === 1;
}

/** Deletes a connector. No object may be bound to it any more. */
export async function deleteConnector(db: Db, id: string): Promise<void> {
  await db.deleteFrom('claim_waiters').where('tenant_id', '=', db.tenant).where('connector_id', '=', id).execute();
  await db.deleteFrom('connectors').where('tenant_id', '=', db.tenant).where('connector_id', '=', id).execute();
  await deleteIdempotencyKeys(db, id);
}

/** @throws CodedError ALREADY_EXISTS if another connector has the name */
export async function refuseTakenName(db: Db, name: string, exceptId?: string): Promise<void> {
  const taken = await findConnectorByName(db, name);
  if (taken && taken.connectorId !== exceptId) throw alreadyExists('connector', `'${name}'`, ` (${taken.connectorId})`);
}

function body(connector: Connector): string {
  const { description, kind, uri, source, destination, auth, policy, alerts, properties, managedBy } = connector;
  const kept = { description, kind, uri, source, destination, auth, policy, alerts, properties, managedBy };
  return JSON.stringify(
    Connector.toJSON({ ...Connector.create(), ...kept, state: ConnectorState.CONNECTOR_STATE_UNSPECIFIED }),
  );
}

/** The message of a row, without regard to whose it is. */
export function connectorMessage(row: Selectable<ConnectorRow>): Connector {
  return {
    ...Connector.fromJSON(JSON.parse(row.body)),
    connectorId: row.connector_id,
    displayName: row.display_name,
    state: connectorStateFromJSON(row.state),
    runningJobId: row.running_job_id,
    createdAt: new Date(row.created_at),
    updatedAt: new Date(row.updated_at),
    etag: row.etag,
  };
}
