import { z } from 'zod';
import { CodedError } from '../../errors.ts';
import {
  Connector,
  ConnectorState,
  type ConnectorsServiceImplementation,
  CreateConnectorRequest,
} from '../../generated/reconciler/v1/connectors.ts';
import type { ServiceDeps } from '../core/ports.ts';
import { maskPaths } from '../rpc/field-mask.ts';
import { PageTokens, page, pageSize } from '../rpc/page-token.ts';
import { Checks, checkIds, invalid, required } from '../rpc/violations.ts';
import { resetAlerts } from '../store/connectors/alerts.ts';
import * as store from '../store/connectors/connectors.ts';
import { checkEtag } from '../store/database/errors.ts';
import { findCreatedResource, recordCreatedResource, requestHash } from '../store/database/idempotency.ts';
import { checkConnector } from '../validation/connector-checks.ts';
import { applyConnectorMask, CONNECTOR_MASK } from './connector-mask.ts';
import { refuseDeleting } from './delete-connector.ts';

type ConnectorRpcs = Pick<
  ConnectorsServiceImplementation,
  'createConnector' | 'getConnector' | 'listConnectors' | 'updateConnector' | 'deleteConnector' | 'validateConnector'
>;

const tokens = new PageTokens('ListConnectors', z.object({ name: z.string() }));

/** The RPCs of the service Connectors that keep connectors. */
export function createConnectorRpcs(deps: ServiceDeps): ConnectorRpcs {
  const { db, jobs, schedules, deletions } = deps;
  return {
    async createConnector(request) {
      const connector = { ...required(request.connector, 'connector') };
      checkConnector(connector);
      if (connector.state === ConnectorState.CONNECTOR_STATE_UNSPECIFIED) {
        connector.state = ConnectorState.CONNECTOR_STATE_ACTIVE;
      }
      if (connector.state === ConnectorState.CONNECTOR_STATE_DELETING) {
        throw invalid('connector.state', 'a new connector is ACTIVE or PAUSED');
      }
      const hash = requestHash(CreateConnectorRequest.encode(request).finish());
      const made = await db.transaction().execute(async (trx) => {
        const first = await findCreatedResource(trx, 'CreateConnector', request.idempotencyKey, hash);
        if (first !== undefined) return store.getConnector(trx, first);
        const made = await store.insertConnector(trx, connector);
        await recordCreatedResource(trx, 'CreateConnector', request.idempotencyKey, hash, made.connectorId);
        return made;
      });
      schedules.follow(made.connectorId);
      return made;
    },

    async getConnector(request) {
      const { by } = request;
      if (!by) throw invalid('by', 'is required: give connector_id or display_name');
      const checks = new Checks();
      checks.id(by.value, by.$case === 'connectorId' ? 'connector_id' : 'display_name');
      checks.done();
      if (by.$case === 'connectorId') return store.getConnector(db, by.value);
      const found = await store.findConnectorByName(db, by.value);
      if (!found) throw new CodedError('NOT_FOUND', `connector '${by.value}' is not there`);
      return found;
    },

    async listConnectors(request) {
      const size = pageSize(request.pageSize);
      const after = tokens.decode(request.pageToken, null);
      const { items, last } = page(await store.listConnectors(db, size + 1, after?.name), size);
      return { connectors: items, nextPageToken: last ? tokens.encode({ name: last.displayName }, null) : '' };
    },

    async updateConnector(request) {
      const given = required(request.connector, 'connector');
      const paths = maskPaths(request.updateMask, CONNECTOR_MASK);
      checkIds({ 'connector.connector_id': given.connectorId });
      if (paths.includes('state') && given.state === ConnectorState.CONNECTOR_STATE_UNSPECIFIED) {
        throw invalid('connector.state', 'is required: ACTIVE or PAUSED');
      }
      if (paths.includes('state') && given.state === ConnectorState.CONNECTOR_STATE_DELETING) {
        throw invalid('connector.state', 'is what DeleteConnector sets: call that');
      }
      const updated = await db.transaction().execute(async (trx) => {
        const stored = await store.getConnector(trx, given.connectorId);
        refuseDeleting(stored);
        checkEtag('connector', stored.connectorId, given.etag, stored.etag);
        const changed = applyConnectorMask(stored, given, paths);
        checkConnector(changed);
        if (changed.alerts?.webhookUrl !== stored.alerts?.webhookUrl) await resetAlerts(trx, stored.connectorId);
        return store.updateConnector(trx, changed);
      });
      schedules.follow(updated.connectorId);
      return updated;
    },

    async deleteConnector(request) {
      checkIds({ connector_id: request.connectorId });
      const { tables, views } = await deletions.delete(request);
      return { tablesDeleted: BigInt(tables), viewsDeleted: BigInt(views) };
    },

    async validateConnector(request) {
      const { target } = request;
      if (!target) throw invalid('target', 'is required: give connector_id or connector');
      if (target.$case === 'connectorId') {
        checkIds({ connector_id: target.value });
        const stored = await store.getConnector(db, target.value);
        return (await jobs()).validate({ connectorId: stored.connectorId, taskQueue: taskQueueOf(stored) });
      }
      // A spec that is not stored may still be without a name.
      checkConnector({ ...target.value, displayName: target.value.displayName || 'unnamed' });
      // It goes into a history, where the URL of a webhook has no business.
      const connectorJson = JSON.stringify(Connector.toJSON({ ...target.value, alerts: undefined }));
      return (await jobs()).validate({ connectorJson, taskQueue: taskQueueOf(target.value) });
    },
  };
}

const taskQueueOf = ({ policy }: Connector) => policy?.taskQueue || undefined;
