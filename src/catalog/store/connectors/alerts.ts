import type { AlertRequest, AlertType } from '../../../contract/job.ts';
import { type Connector, ConnectorState } from '../../../generated/reconciler/v1/connectors.ts';
import { JobState, type ReconcileJob } from '../../../generated/reconciler/v1/jobs.ts';
import type { Scoped } from '../database/scoped.ts';
import { write } from '../database/transaction.ts';
import { findConnector } from './connectors.ts';
import { isWholeRun } from './whole-run.ts';

type Db = Scoped;

interface LastAlert {
  jobId: string;
  type: AlertType;
  failedJobId?: string;
  /** Nobody has confirmed that its delivery was started. Only of a connector's last alert. */
  pending?: true;
}

/**
 * Decides which alert the connector's webhook gets for a job that has ended: the first failure, and the first success after it.
 * The alert is stored as sent, also with the job, for which a repeated call returns it again, whatever happened in between. Call it in a
 * transaction.
 *
 * @returns undefined if there is nothing to report
 */
export async function evaluateAlert(db: Db, job: ReconcileJob): Promise<AlertRequest | undefined> {
  const connector = await findConnector(db, job.connectorId);
  const alert = (await alertOfJob(db, job.jobId)) ?? (await decideAlert(db, job, connector));
  await db
    .updateTable('jobs')
    .set({ alert: alert === 'none' ? '' : JSON.stringify(alert) })
    .where('tenant_id', '=', db.tenant)
    .where('job_id', '=', job.jobId)
    .execute();
  if (!connector || alert === 'none') return undefined;
  return alertRequest(connector, alert);
}

function alertRequest({ displayName: connectorName, policy }: Connector, alert: LastAlert): AlertRequest {
  return { ...alert, connectorName, ...(policy?.taskQueue && { taskQueue: policy.taskQueue }) };
}

async function decideAlert(db: Db, job: ReconcileJob, connector: Connector | undefined): Promise<LastAlert | 'none'> {
  if (!countsForAlerts(job)) return 'none';
  if (!connector?.alerts?.webhookUrl || connector.state === ConnectorState.CONNECTOR_STATE_DELETING) return 'none';
  const last = await lastAlert(db, connector.connectorId);
  const failed = job.state === JobState.JS_FAILED;
  const lastWasFailure = last?.type === 'job.failed';
  if (failed === lastWasFailure) return 'none';
  const alert: LastAlert = failed
    ? { jobId: job.jobId, type: 'job.failed' }
    : { jobId: job.jobId, type: 'job.recovered', failedJobId: last?.jobId };
  await setLastAlert(db, connector.connectorId, JSON.stringify({ ...alert, pending: true }));
  return alert;
}

/** @returns undefined if the job's alert was not decided yet */
async function alertOfJob(db: Db, jobId: string): Promise<LastAlert | 'none' | undefined> {
  const row = await db
    .selectFrom('jobs')
    .select('alert')
    .where('tenant_id', '=', db.tenant)
    .where('job_id', '=', jobId)
    .executeTakeFirst();
  if (row?.alert == null) return undefined;
  return row.alert === '' ? 'none' : JSON.parse(row.alert);
}

/**
 * The connector's last alert, if it is not known whether its delivery was started. A job's workflow starts it after the job has ended; if it was
 * terminated by then, nobody does.
 */
export async function pendingAlert(db: Db, connectorId: string): Promise<AlertRequest | undefined> {
  const [connector, last] = [await findConnector(db, connectorId), await lastAlert(db, connectorId)];
  if (!connector || !last?.pending) return undefined;
  const { pending: _, ...alert } = last;
  return alertRequest(connector, alert);
}

/** Records that the delivery of a job's alert was started. */
export async function alertStarted(db: Db, connectorId: string, jobId: string): Promise<void> {
  await write(db, async (trx) => {
    const last = await lastAlert(trx, connectorId);
    if (last?.jobId !== jobId || !last.pending) return;
    const { pending: _, ...alert } = last;
    await setLastAlert(trx, connectorId, JSON.stringify(alert));
  });
}

/** Forgets the last alert: a new webhook has received none. */
export async function resetAlerts(db: Db, connectorId: string): Promise<void> {
  await setLastAlert(db, connectorId, '');
}

/** Whether the job shows the connector's status: it succeeded or failed, as a whole run. */
function countsForAlerts(job: ReconcileJob): boolean {
  return (job.state === JobState.JS_FAILED || job.state === JobState.JS_SUCCEEDED) && isWholeRun(job);
}

async function lastAlert(db: Db, connectorId: string): Promise<LastAlert | undefined> {
  const row = await db
    .selectFrom('connectors')
    .select('last_alert')
    .where('tenant_id', '=', db.tenant)
    .where('connector_id', '=', connectorId)
    .executeTakeFirst();
  return row?.last_alert ? JSON.parse(row.last_alert) : undefined;
}

async function setLastAlert(db: Db, connectorId: string, alert: string): Promise<void> {
  await db
    .updateTable('connectors')
    .set({ last_alert: alert })
    .where('tenant_id', '=', db.tenant)
    .where('connector_id', '=', connectorId)
    .execute();
}
