import type { Kysely } from 'kysely';
import type { AlertRequest, AlertType, ReconcileRequest } from '../../../contract/job.ts';
import { ConnectorState } from '../../../generated/reconciler/v1/connectors.ts';
import { JobState, type ReconcileJob } from '../../../generated/reconciler/v1/jobs.ts';
import type { Schema } from '../database/schema.ts';
import { findConnector } from './connectors.ts';

type Db = Kysely<Schema>;

interface LastAlert {
  jobId: string;
  type: AlertType;
  failedJobId?: string;
}

/**
 * Decides which alert the connector's webhook gets for a job that has ended: the first failure, and the first success after it.
 * The alert is stored as sent, and a repeated call for the same job returns it again. Call it in a transaction.
 *
 * @returns undefined if there is nothing to report
 */
export async function evaluateAlert(db: Db, job: ReconcileJob): Promise<AlertRequest | undefined> {
  if (!countsForAlerts(job)) return undefined;
  const connector = await findConnector(db, job.connectorId);
  if (!connector?.alerts?.webhookUrl || connector.state === ConnectorState.CONNECTOR_STATE_DELETING) return undefined;
  const { connectorId, displayName: connectorName, policy } = connector;
  const request = (alert: LastAlert): AlertRequest => ({
    ...alert,
    connectorName,
    ...(policy?.taskQueue && { taskQueue: policy.taskQueue }),
  });
  const last = await lastAlert(db, connectorId);
  if (last?.jobId === job.jobId) return request(last);
  const failed = job.state === JobState.JS_FAILED;
  const lastWasFailure = last?.type === 'job.failed';
  if (failed === lastWasFailure) return undefined;
  const alert: LastAlert = failed
    ? { jobId: job.jobId, type: 'job.failed' }
    : { jobId: job.jobId, type: 'job.recovered', failedJobId: last?.jobId };
  await setLastAlert(db, connectorId, JSON.stringify(alert));
  return request(alert);
}

/** Restores the previous alert, since this one could not be sent. */
export async function unclaimAlert(db: Db, connectorId: string, alert: AlertRequest): Promise<void> {
  await db.transaction().execute(async (trx) => {
    if ((await lastAlert(trx, connectorId))?.jobId !== alert.jobId) return;
    const before: LastAlert | undefined =
      alert.failedJobId === undefined ? undefined : { jobId: alert.failedJobId, type: 'job.failed' };
    await setLastAlert(trx, connectorId, before ? JSON.stringify(before) : '');
  });
}

/** Forgets the last alert: a new webhook has received none. */
export async function resetAlerts(db: Db, connectorId: string): Promise<void> {
  await setLastAlert(db, connectorId, '');
}

/** Whether the job shows the connector's status: it succeeded or failed, had no scope, was no retry and no dry run. */
function countsForAlerts({ state, dryRun, requestJson }: ReconcileJob): boolean {
  if (dryRun || (state !== JobState.JS_FAILED && state !== JobState.JS_SUCCEEDED)) return false;
  const { scope, retryOf }: Partial<ReconcileRequest> = requestJson === '' ? {} : JSON.parse(requestJson);
  return scope === undefined && retryOf === undefined;
}

async function lastAlert(db: Db, connectorId: string): Promise<LastAlert | undefined> {
  const row = await db
    .selectFrom('connectors')
    .select('last_alert')
    .where('connector_id', '=', connectorId)
    .executeTakeFirst();
  return row?.last_alert ? JSON.parse(row.last_alert) : undefined;
}

async function setLastAlert(db: Db, connectorId: string, alert: string): Promise<void> {
  await db.updateTable('connectors').set({ last_alert: alert }).where('connector_id', '=', connectorId).execute();
}
