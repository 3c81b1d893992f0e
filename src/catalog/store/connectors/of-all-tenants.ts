import type { Connector } from '../../../generated/reconciler/v1/connectors.ts';
import { bytesOf, mapPage, type Page, readPage } from '../database/page-cut.ts';
import type { AllTenants } from '../database/scoped.ts';
import { connectorMessage } from './connectors.ts';

/** A connector, and whose it is. */
export interface OwnedConnector {
  tenant: string;
  connector: Connector;
}

/** The id of a connector, and whose it is. */
export interface OwnedConnectorId {
  tenant: string;
  connectorId: string;
}

/** Lists a page of at most `size` connectors of all tenants after `after`, ordered by id. */
export async function listConnectorsOfAllTenants(
  db: AllTenants,
  size: number,
  after = '',
): Promise<Page<OwnedConnector>> {
  const query = db.selectFrom('connectors').selectAll().where('connector_id', '>', after).orderBy('connector_id');
  return mapPage(await readPage(query, bytesOf('display_name', 'body'), size), (row) => ({
    tenant: row.tenant_id,
    connector: connectorMessage(row),
  }));
}

/** Connectors of all tenants whose deletion has begun. */
export async function deletingConnectorsOfAllTenants(db: AllTenants): Promise<OwnedConnectorId[]> {
  return owned(db).where('state', '=', 'CONNECTOR_STATE_DELETING').execute();
}

/** Connectors of all tenants whose last alert is pending. */
export async function pendingAlertsOfAllTenants(db: AllTenants): Promise<OwnedConnectorId[]> {
  return owned(db).where('last_alert', 'like', '%"pending":true%').execute();
}

function owned(db: AllTenants) {
  return db.selectFrom('connectors').select(['tenant_id as tenant', 'connector_id as connectorId']);
}
