import { z } from 'zod';
import type { ValidateRequest } from '../../contract/job.ts';
import { namedTenant } from '../../contract/tenant.ts';
import { CodedError } from '../../errors.ts';
import {
  type Connector,
  ConnectorState,
  type ConnectorsServiceImplementation,
  CreateConnectorRequest,
} from '../../generated/reconciler/v1/connectors.ts';
import type { ServiceDeps } from '../core/ports.ts';
import { wakeAll } from '../jobs/wake.ts';
import { maskPaths } from '../rpc/field-mask.ts';
import { PageTokens, pageSize } from '../rpc/page-token.ts';
import { Checks, checkIds, invalid, required } from '../rpc/violations.ts';
import { resetAlerts } from '../store/connectors/alerts.ts';
import * as store from '../store/connectors/connectors.ts';
import { deleteDraft, insertDraft } from '../store/connectors/drafts.ts';
import { checkEtag } from '../store/database/errors.ts';
import { createOnce } from '../store/database/idempotency.ts';
import { write } from '../store/database/transaction.ts';
import { taskQueueOfTenant } from '../store/tenants/tenants.ts';
import { checkConnector } from '../validation/connector-checks.ts';
import { applyConnectorMask, CONNECTOR_MASK } from './connector-mask.ts';
import { refuseDeleting } from './delete-connector.ts';
import { previewDeletion } from './preview-deletion.ts';
import { warnOfUnpolledQueue } from './queue-warning.ts';
import { refuseOperator, visibleConnector } from './visible-connector.ts';

type ConnectorRpcs = Pick<
  ConnectorsServiceImplementation,
  'createConnector' | 'getConnector' | 'listConnectors' | 'updateConnector' | 'deleteConnector' | 'validateConnector'
>;

const tokens = new PageTokens('ListConnectors', z.object({ name: z.string() }));

/** The RPCs of the service Connectors that manage and validate connectors. */
export function createConnectorRpcs(deps: ServiceDeps): ConnectorRpcs {
  const { db, jobs, schedules, deletions, limits } = deps;
  return {
    async createConnector(request, context) {
      const connector = { ...required(request.connector, 'connector') };
      checkConnector(connector);
      if (connector.state === ConnectorState.CONNECTOR_STATE_UNSPECIFIED) {
        connector.state = ConnectorState.CONNECTOR_STATE_ACTIVE;
      }
      if (connector.state === ConnectorState.CONNECTOR_STATE_DELETING) {
        throw invalid('connector.state', 'must be ACTIVE or PAUSED for a new connector');
      }
      if (request.validateOnly) {
        await store.refuseTakenName(db, connector.displayName);
        return connector;
      }
      const encoded = CreateConnectorRequest.encode(request).finish();
      const once = { scope: 'CreateConnector', key: request.idempotencyKey, request: encoded };
      const excess = await limits.excess('connectors');
      const created = await createOnce(db, once, {
        create(trx) {
          if (excess) throw excess;
          return store.insertConnector(trx, connector);
        },
        get: store.getConnector,
        idOf: (created) => created.connectorId,
      });
      schedules.syncInBackground(created.connectorId);
      const taskQueue = taskQueueOf(created);
      if (taskQueue) await warnOfUnpolledQueue(deps, taskQueue, context);
      return created;
    },

    async getConnector(request) {
      const { by } = request;
      if (!by) throw invalid('by', 'is required: set connector_id or display_name');
      const checks = new Checks();
      checks.id(by.value, by.$case === 'connectorId' ? 'connector_id' : 'display_name');
      checks.done();
      if (by.$case === 'connectorId') return visibleConnector(await store.getConnector(db, by.value));
      const found = await store.findConnectorByName(db, by.value);
      if (!found) throw new CodedError('NOT_FOUND', `connector '${by.value}' does not exist`);
      return visibleConnector(found);
    },

    async listConnectors(request) {
      const size = pageSize(request.pageSize);
      const after = tokens.decode(request.pageToken, null);
      const { items, last } = await store.listConnectors(db, size, after?.name);
      return {
        connectors: items.map(visibleConnector),
        nextPageToken: last ? tokens.encode({ name: last.displayName }, null) : '',
      };
    },

    async updateConnector(request, context) {
      const update = required(request.connector, 'connector');
      const paths = maskPaths(request.updateMask, CONNECTOR_MASK);
      refuseOperator(paths);
      checkIds({ 'connector.connector_id': update.connectorId });
      if (paths.includes('state') && update.state === ConnectorState.CONNECTOR_STATE_UNSPECIFIED) {
        throw invalid('connector.state', 'is required: ACTIVE or PAUSED');
      }
      if (paths.includes('state') && update.state === ConnectorState.CONNECTOR_STATE_DELETING) {
        throw invalid('connector.state', 'can only be set by DeleteConnector');
      }
      const change = async (trx: typeof db) => {
        const stored = await store.getConnector(trx, update.connectorId);
        refuseDeleting(stored);
        checkEtag('connector', stored.connectorId, update.etag, stored.etag);
        const changed = applyConnectorMask(stored, update, paths);
        checkConnector(changed);
        return { stored, changed };
      };
      if (request.validateOnly) {
        const { changed } = await change(db);
        await store.refuseTakenName(db, changed.displayName, changed.connectorId);
        return visibleConnector(changed);
      }
      const { stored, updated } = await write(db, async (trx) => {
        const { stored, changed } = await change(trx);
        if (changed.alerts?.webhookUrl !== stored.alerts?.webhookUrl) await resetAlerts(trx, stored.connectorId);
        return { stored, updated: await store.updateConnector(trx, changed) };
      });
      if (concernsJobs(stored, updated)) wakeAll(deps, updated.connectorId);
      schedules.syncInBackground(updated.connectorId);
      const taskQueue = taskQueueOf(update) && taskQueueOf(updated);
      if (taskQueue) await warnOfUnpolledQueue(deps, taskQueue, context);
      return visibleConnector(updated);
    },

    async deleteConnector(request) {
      checkIds({ connector_id: request.connectorId });
      if (request.validateOnly) return previewDeletion(db, request);
      const { tables, views, snapshots } = await deletions.delete(request);
      return {
        tablesDeleted: BigInt(tables),
        viewsDeleted: BigInt(views),
        snapshotsDeleted: BigInt(snapshots),
      };
    },

    async validateConnector(request) {
      const { target } = request;
      if (!target) throw invalid('target', 'is required: set connector_id or connector');
      if (target.$case === 'connectorId') {
        checkIds({ connector_id: target.value });
        const stored = await store.resolveConnector(db, target.value);
        return (await jobs()).validate({ connectorId: stored.connectorId, ...(await servedBy(stored)) });
      }
      // A connector that is not stored need not have a name.
      checkConnector({ ...target.value, displayName: target.value.displayName || 'unnamed' });
      const { value } = target;
      const control = await jobs();
      // Its webhook is not used, and may be a secret.
      const draftId = await write(db, (trx) => insertDraft(trx, { ...value, alerts: undefined }));
      try {
        return await control.validate({ draftId, ...(await servedBy(value)) });
      } finally {
        await write(db, (trx) => deleteDraft(trx, draftId));
      }
    },
  };

  /** Whose the connector is, and which workers read its upstream. */
  async function servedBy(connector: Connector): Promise<Pick<ValidateRequest, 'taskQueue' | 'tenant'>> {
    return { taskQueue: taskQueueOf(connector) ?? (await taskQueueOfTenant(db)), ...namedTenant(db.tenant) };
  }
}

/** Whether a change is one that running or waiting jobs wait for: the connector was resumed, or its steps get other workers. */
function concernsJobs(before: Connector, after: Connector): boolean {
  const { CONNECTOR_STATE_ACTIVE: ACTIVE } = ConnectorState;
  const isResumed = before.state !== ACTIVE && after.state === ACTIVE;
  return isResumed || taskQueueOf(before) !== taskQueueOf(after);
}

const taskQueueOf = ({ policy }: Connector) => policy?.taskQueue || undefined;
