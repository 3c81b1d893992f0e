import { isEnded } from '../../contract/progress-message.ts';
import { CodedError } from '../../errors.ts';
import {
  AlertType,
  type ReconciliationServiceImplementation,
  type RecordJobRequest,
} from '../../generated/reconciler/internal/v1/reconciliation.ts';
import { DestinationTarget } from '../../generated/reconciler/v1/connectors.ts';
import { JobState, type ReconcileJob } from '../../generated/reconciler/v1/jobs.ts';
import { refuseDeleting } from '../connectors/delete-connector.ts';
import { createRateLimitRpcs } from '../connectors/rate-limit.ts';
import type { ServiceDeps } from '../core/ports.ts';
import { createJobStatus } from '../jobs/job-status.ts';
import { sanitizeChange, sanitizeRecord } from '../jobs/sanitize-record.ts';
import { Checks, checkIds, invalid, required } from '../rpc/violations.ts';
import { ensureCatalog, ensureNamespace } from '../store/bindings/destination.ts';
import { evaluateAlert } from '../store/connectors/alerts.ts';
import { getConnector, releaseClaim, setRunningJob, updateConnector } from '../store/connectors/connectors.ts';
import { transaction } from '../store/database/transaction.ts';
import { recordJobChanges } from '../store/jobs/job-changes.ts';
import { findJob, getJob, putFailures, putJob } from '../store/jobs/jobs.ts';
import { createDropRpcs } from './drop-rpcs.ts';

const MAX_ITEMS = 1000;
const ALERT_TYPES = {
  '': AlertType.ALERT_TYPE_UNSPECIFIED,
  'job.failed': AlertType.ALERT_TYPE_JOB_FAILED,
  'job.recovered': AlertType.ALERT_TYPE_JOB_RECOVERED,
};

/** The service Reconciliation. Only workers call it. */
export function createReconciliationService(deps: ServiceDeps): ReconciliationServiceImplementation {
  const { db } = deps;
  const { refresh } = createJobStatus(deps, () => false);
  return {
    ...createRateLimitRpcs(deps),
    ...createDropRpcs(deps),

    async claimConnector(request) {
      checkIds({ connector_id: request.connectorId, job_id: request.jobId });
      // The record of the dead holder is ended before the next job claims the connector, so that alerts keep the order of the jobs. A holder
      // without a record needs no end.
      if (request.deadHolderJobId !== '') await refresh(request.deadHolderJobId).catch(() => undefined);
      return db.transaction().execute(async (trx) => {
        const connector = await getConnector(trx, request.connectorId);
        const { runningJobId: holder } = connector;
        if (holder === request.jobId) return { holderJobId: holder };
        refuseDeleting(connector);
        if (holder !== '' && holder !== request.deadHolderJobId) return { holderJobId: holder };
        await setRunningJob(trx, request.connectorId, request.jobId);
        return { holderJobId: request.jobId };
      });
    },

    async releaseConnector(request) {
      checkIds({ connector_id: request.connectorId, job_id: request.jobId });
      await releaseClaim(db, request.jobId, request.connectorId);
      return {};
    },

    async recordJob(received) {
      const request = sanitizeRecord(received);
      const job = required(request.job, 'job');
      checkRecord(job, request);
      const { before, stored } = await db.transaction().execute(async (trx) => {
        const before = await findJob(trx, job.jobId);
        const stored = await putJob(trx, job);
        await putFailures(trx, job.jobId, request.failures);
        return { before, stored };
      });
      deps.observeJob(before, stored, request.failures);
      return stored;
    },

    async claimAlert({ jobId }) {
      checkIds({ job_id: jobId });
      const alert = await db.transaction().execute(async (trx) => {
        const job = await getJob(trx, jobId);
        if (!isEnded(job.state)) throw invalid('job_id', `job ${jobId} has not ended`);
        return evaluateAlert(trx, job);
      });
      return { type: ALERT_TYPES[alert?.type ?? ''], failedJobId: alert?.failedJobId ?? '' };
    },

    async recordJobChanges({ jobId, changes }) {
      const checks = new Checks();
      checks.id(jobId, 'job_id');
      checks.list(changes, 'changes', MAX_ITEMS);
      checks.done();
      await db.transaction().execute(async (trx) => {
        await recordJobChanges(trx, await getJob(trx, jobId), changes.map(sanitizeChange));
      });
      return {};
    },

    async ensureDestination(request) {
      const checks = new Checks();
      checks.id(request.connectorId, 'connector_id');
      checks.path(request.namespacePath, 'namespace_path', { min: 0 });
      checks.path(request.destination?.namespacePath ?? [], 'destination.namespace_path', { min: 0 });
      const catalogName = request.destination?.catalogName ?? '';
      if (catalogName !== '') checks.name(catalogName, 'destination.catalog_name', 255);
      checks.done();
      return transaction(db, request.validateOnly, async (trx) => {
        const connector = await getConnector(trx, request.connectorId);
        const destination = request.destination ?? connector.destination ?? DestinationTarget.create();
        const { catalog, catalogMade } = await ensureCatalog(trx, destination, connector);
        const sourcePath = request.namespacePath;
        const { namespace, namespaceMade } = await ensureNamespace(trx, destination, catalog, connector, sourcePath);
        return {
          catalogId: catalog.catalogId,
          namespaceId: namespace?.namespaceId ?? '',
          namespacePath: namespace?.path ?? [],
          catalogMade,
          namespaceMade,
        };
      });
    },

    async bindDestination(request) {
      const resolved = required(request.destination, 'destination');
      checkIds({ connector_id: request.connectorId });
      return db.transaction().execute(async (trx) => {
        const connector = await getConnector(trx, request.connectorId);
        const bound = bindTo(connector.destination ?? DestinationTarget.create(), resolved, connector.displayName);
        return bound ? updateConnector(trx, { ...connector, destination: bound }) : connector;
      });
    },
  };
}

function checkRecord(job: ReconcileJob, request: RecordJobRequest): void {
  const checks = new Checks();
  checks.id(job.jobId, 'job.job_id');
  checks.that(job.state !== JobState.JS_UNSPECIFIED, 'job.state', 'is required');
  for (const [counter, count] of Object.entries(job.counters ?? {})) {
    checks.count(count, `job.counters.${counter.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}`);
  }
  checks.timestamp(job.createdAt, 'job.created_at');
  checks.timestamp(job.startedAt, 'job.started_at');
  checks.timestamp(job.finishedAt, 'job.finished_at');
  checks.text(job.requestJson, 'job.request_json', { max: 2 * 1024 * 1024 });
  const { failures } = request;
  checks.list(failures, 'failures', MAX_ITEMS);
  for (const [index, failure] of failures.entries()) {
    checks.text(failure.code, `failures[${index}].code`, { min: 1, max: 100 });
    checks.timestamp(failure.failedAt, `failures[${index}].failed_at`);
  }
  checks.done();
}

/**
 * The stored destination with the resolved ids and names added; undefined if it already has them.
 *
 * @throws CodedError ABORTED if the stored destination differs because somebody changed it while the job was running
 */
function bindTo(
  stored: DestinationTarget,
  resolved: DestinationTarget,
  connector: string,
): DestinationTarget | undefined {
  const result = { ...stored };
  let changed = false;
  for (const field of ['catalogId', 'catalogName', 'namespaceId', 'tableId', 'tableName'] as const) {
    if (resolved[field] === '' || stored[field] === resolved[field]) continue;
    if (stored[field] !== '') throw changedMeanwhile(connector, field, stored[field], resolved[field]);
    result[field] = resolved[field];
    changed = true;
  }
  const [storedPath, resolvedPath] = [JSON.stringify(stored.namespacePath), JSON.stringify(resolved.namespacePath)];
  if (resolved.namespacePath.length > 0 && storedPath !== resolvedPath) {
    if (stored.namespacePath.length > 0) throw changedMeanwhile(connector, 'namespacePath', storedPath, resolvedPath);
    result.namespacePath = resolved.namespacePath;
    changed = true;
  }
  return changed ? result : undefined;
}

function changedMeanwhile(connector: string, field: string, stored: string, resolved: string): CodedError {
  return new CodedError(
    'ABORTED',
    `destination of connector '${connector}' was changed while the job was running: ${field} is ${stored}, but the job wrote to ${resolved}; run the job again`,
  );
}
