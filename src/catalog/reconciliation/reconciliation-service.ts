import { isEnded } from '../../contract/progress-message.ts';
import { CodedError } from '../../errors.ts';
import type { ReconciliationServiceImplementation } from '../../generated/reconciler/internal/v1/reconciliation.ts';
import { DestinationTarget } from '../../generated/reconciler/v1/connectors.ts';
import { JobState } from '../../generated/reconciler/v1/jobs.ts';
import { createRateLimitRpcs, type RequestQueues } from '../connectors/rate-limit.ts';
import type { ServiceDeps } from '../core/ports.ts';
import { sanitizeChange, sanitizeOutcome, sanitizeRecord } from '../jobs/sanitize-record.ts';
import { wakeNext } from '../jobs/wake.ts';
import { Checks, checkIds, invalid, required } from '../rpc/violations.ts';
import { ensureCatalog, ensureNamespace } from '../store/bindings/destination.ts';
import { leaveQueue } from '../store/connectors/claims.ts';
import { getConnector, updateConnector } from '../store/connectors/connectors.ts';
import { getDraft } from '../store/connectors/drafts.ts';
import { currentClaim, requireClaimOfJob, requireClaimOn } from '../store/database/claim-fence.ts';
import { transaction, write } from '../store/database/transaction.ts';
import { recordJobChanges } from '../store/jobs/job-changes.ts';
import { recordOutcomes } from '../store/jobs/job-outcomes.ts';
import { findJob, getJob, putFailures, putJob } from '../store/jobs/jobs.ts';
import { checkRecord } from './check-record.ts';
import { createClaimRpcs } from './claim-rpcs.ts';
import { createDropRpcs } from './drop-rpcs.ts';

const MAX_ITEMS = 1000;

/** The service Reconciliation. Only workers call it. */
export function createReconciliationService(
  deps: ServiceDeps,
  queues: RequestQueues,
): ReconciliationServiceImplementation {
  const { db } = deps;
  return {
    ...createRateLimitRpcs(deps, queues),
    ...createDropRpcs(deps),
    ...createClaimRpcs(deps),

    async recordJob(received) {
      const request = sanitizeRecord(received);
      const job = required(request.job, 'job');
      checkRecord(job, request.failures);
      if (job.state === JobState.JS_UNSPECIFIED) throw invalid('job.state', 'is required');
      if (currentClaim() && job.connectorId) requireClaimOn(job.connectorId);
      const { before, stored } = await write(db, async (trx) => {
        await requireClaimOfJob(trx, job.jobId, job.runId);
        const before = await findJob(trx, job.jobId);
        const stored = await putJob(trx, job);
        await putFailures(trx, job.jobId, request.failures);
        if (isEnded(stored.state)) await leaveQueue(trx, job.jobId);
        return { before, stored };
      });
      deps.observeJob(before, stored, request.failures);
      if (isEnded(stored.state)) wakeNext(deps, stored.connectorId);
      return stored;
    },

    async recordJobChanges({ jobId, changes }) {
      const checks = new Checks();
      checks.id(jobId, 'job_id');
      checks.list(changes, 'changes', MAX_ITEMS);
      checks.done();
      await write(db, async (trx) => {
        await requireClaimOfJob(trx, jobId);
        await recordJobChanges(trx, await getJob(trx, jobId), changes.map(sanitizeChange));
      });
      return {};
    },

    async recordJobOutcomes({ jobId, step, outcomes }) {
      const checks = new Checks();
      checks.id(jobId, 'job_id');
      checks.text(step, 'step', { min: 1, max: 200 });
      checks.list(outcomes, 'outcomes', MAX_ITEMS);
      checks.done();
      await write(db, async (trx) => {
        await requireClaimOfJob(trx, jobId);
        // A restored database may lack the record of a running job: that must not fail its tables.
        if (await findJob(trx, jobId)) await recordOutcomes(trx, jobId, step, outcomes.map(sanitizeOutcome));
      });
      return {};
    },

    async ensureDestination(request) {
      const checks = new Checks();
      checks.id(request.connectorId, 'connector_id');
      checks.path(request.namespacePath, 'namespace_path', { min: 0, upstream: true });
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

    async getConnectorDraft({ draftId }) {
      checkIds({ draft_id: draftId });
      return getDraft(db, draftId);
    },

    async bindDestination(request) {
      const resolved = required(request.destination, 'destination');
      checkIds({ connector_id: request.connectorId });
      return write(db, async (trx) => {
        const connector = await getConnector(trx, request.connectorId);
        const bound = bindTo(connector.destination ?? DestinationTarget.create(), resolved, connector.displayName);
        return bound ? updateConnector(trx, { ...connector, destination: bound }) : connector;
      });
    },
  };
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
