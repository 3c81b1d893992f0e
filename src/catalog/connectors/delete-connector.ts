import { setImmediate, setTimeout } from 'node:timers/promises';
import { CodedError } from '../../errors.ts';
import type { Connector } from '../../generated/reconciler/v1/connectors.ts';
import { ConnectorState } from '../../generated/reconciler/v1/connectors.ts';
import { TemporalUnreachable } from '../../temporal/temporal-errors.ts';
import { type CatalogDeps, type Deleted, type Deletions, type JobDeps, jobDepsOf } from '../core/ports.ts';
import { createJobStatus } from '../jobs/job-status.ts';
import { deleteSomeContents, releaseSomeContents } from '../store/bindings/connector-contents.ts';
import * as store from '../store/connectors/connectors.ts';
import { deletingConnectorsOfAllTenants, type OwnedConnectorId } from '../store/connectors/of-all-tenants.ts';
import { checkEtag } from '../store/database/errors.ts';
import { type Scoped, scopedTo } from '../store/database/scoped.ts';
import { write } from '../store/database/transaction.ts';
import { unfinishedJobs } from '../store/jobs/jobs.ts';

/** How long to wait for cancelled jobs to end. */
const JOBS_END_MS = 60_000;
const POLL_MS = 250;
/** Number of jobs that are checked in one round. */
const JOBS_AT_ONCE = 100;
const FIRST_WAIT_MS = 1_000;
const MAX_WAIT_MS = 300_000;

/** Deletes connectors. No job may write when its connector is deleted, and none may be started. */
export function createDeletions(deps: Omit<CatalogDeps, 'deletions'>): Deletions {
  const { logger, purge, schedules } = deps;
  // By the ids of connectors, which are unique over all tenants.
  const underWay = new Map<string, Promise<Deleted>>();
  const stopped = new AbortController();

  return {
    async delete(tenant, { connectorId, etag, deleteContents }) {
      await write(scopedTo(deps.db, tenant), async (trx) => {
        const connector = await store.getConnector(trx, connectorId);
        // A connector that is DELETING cannot have changed since the first call.
        if (!isDeleting(connector)) checkEtag('connector', connectorId, etag, connector.etag);
        await store.markDeleting(trx, connector, deleteContents);
      });
      // Jobs that wait are not woken: they would fail, because the connector is being deleted, before they are cancelled.
      return finish({ tenant, connectorId });
    },

    resume() {
      void finishAll().catch((err) => {
        if (!stopped.signal.aborted) logger.error({ err }, 'interrupted deletions of connectors cannot be resumed');
      });
    },

    stop: () => stopped.abort(),
  };

  async function finishAll(): Promise<void> {
    let left = await deletingConnectorsOfAllTenants(deps.db);
    const begun = new Set(left.map(({ connectorId }) => connectorId));
    for (let wait = FIRST_WAIT_MS; left.length > 0; wait = Math.min(wait * 2, MAX_WAIT_MS)) {
      for (const connector of left) {
        await finish(connector).catch((err) => {
          if (!stopped.signal.aborted && !(err instanceof TemporalUnreachable))
            logger.warn(
              { connectorId: connector.connectorId, err, retryInMs: wait },
              'a connector cannot be deleted yet; retrying',
            );
        });
      }
      left = (await deletingConnectorsOfAllTenants(deps.db)).filter(({ connectorId }) => begun.has(connectorId));
      if (left.length > 0) await setTimeout(wait, undefined, { signal: stopped.signal, ref: false });
    }
  }

  /** Concurrent calls for the same connector share one deletion. */
  function finish({ tenant, connectorId }: OwnedConnectorId): Promise<Deleted> {
    const running =
      underWay.get(connectorId) ??
      finishOnce(jobDepsOf(deps, tenant), connectorId).finally(() => underWay.delete(connectorId));
    underWay.set(connectorId, running);
    return running;
  }

  async function finishOnce(ofTenant: JobDeps, connectorId: string): Promise<Deleted> {
    const { db } = ofTenant;
    // The schedule is removed first, so that it starts no more jobs.
    await schedules.of(db.tenant).sync(connectorId);
    await endJobs(ofTenant, connectorId);
    const { displayName } = await store.getConnector(db, connectorId);
    const deleted = { tables: 0, views: 0, snapshots: 0 };
    while (!(await write(db, (trx) => deleteSome(trx, connectorId, deleted)))) {
      purge();
      await setImmediate();
    }
    purge();
    logger.info({ connector: displayName, ...deleted }, 'a connector was deleted');
    return deleted;
  }

  /** Deletes or releases some contents, and finally the connector. @returns true when the connector itself is deleted */
  async function deleteSome(trx: Scoped, connectorId: string, deleted: Deleted): Promise<boolean> {
    if (await store.shouldDeleteContents(trx, connectorId)) {
      const { tables, views, snapshots } = await deleteSomeContents(trx, connectorId);
      deleted.tables += tables;
      deleted.views += views;
      deleted.snapshots += snapshots;
      if (tables + views > 0) return false;
    } else if ((await releaseSomeContents(trx, connectorId)) > 0) {
      return false;
    }
    await store.deleteConnector(trx, connectorId);
    return true;
  }

  /** Cancels the connector's jobs and waits until they have ended. */
  async function endJobs(ofTenant: JobDeps, connectorId: string): Promise<void> {
    const until = Date.now() + JOBS_END_MS;
    const cancelled = new Set<string>();
    for (;;) {
      const connector = await store.getConnector(ofTenant.db, connectorId);
      const alive = await runningJobs(ofTenant, connector);
      if (alive.length === 0) return;
      const control = await ofTenant.jobs();
      for (const jobId of alive) {
        if (!cancelled.has(jobId)) await control.cancel(jobId);
        cancelled.add(jobId);
      }
      if (Date.now() > until) throw doesNotEnd(connector, alive);
      await setTimeout(POLL_MS);
    }
  }

  /** The connector's jobs that run in Temporal. Other jobs whose records have not ended are marked as ended. */
  async function runningJobs(ofTenant: JobDeps, { connectorId, runningJobId }: Connector): Promise<string[]> {
    const { refresh } = createJobStatus(ofTenant, () => false);
    const control = await ofTenant.jobs();
    const alive: string[] = [];
    for (const jobId of new Set([runningJobId, ...(await unfinishedJobs(ofTenant.db, connectorId, JOBS_AT_ONCE))])) {
      if (jobId === '') continue;
      if ((await control.describe(jobId)) === 'RUNNING') alive.push(jobId);
      else await refresh(jobId).catch(() => undefined);
    }
    return alive;
  }
}

/** @throws CodedError FAILED_PRECONDITION if the connector is being deleted, and so must not be changed */
export function refuseDeleting(connector: Connector): void {
  if (!isDeleting(connector)) return;
  throw new CodedError(
    'FAILED_PRECONDITION',
    `connector '${connector.displayName}' is being deleted and cannot be changed; finish the deletion with DeleteConnector (\`reconciler connector delete\`)`,
  );
}

const isDeleting = ({ state }: Connector) => state === ConnectorState.CONNECTOR_STATE_DELETING;

function doesNotEnd({ displayName }: Connector, jobs: string[]): CodedError {
  const [first, ...more] = jobs;
  const which = more.length === 0 ? `job ${first} has` : `${jobs.length} jobs (${first}, …) have`;
  return new CodedError(
    'FAILED_PRECONDITION',
    `connector '${displayName}' is DELETING, but its ${which} not ended ${JOBS_END_MS / 1000} s after being cancelled. Is a worker running? ` +
      `Start one with \`reconciler worker\`, or end the job with \`temporal workflow terminate --workflow-id ${first}\`; then delete the connector again.`,
  );
}
