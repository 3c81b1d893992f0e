import { namedTenant } from '../../contract/tenant.ts';
import type { ServiceDeps } from '../core/ports.ts';
import { alertStarted, pendingAlert } from '../store/connectors/alerts.ts';
import { taskQueueOfTenant } from '../store/tenants/tenants.ts';

/**
 * Starts the delivery of a connector's last alert, unless the workflow of its job still runs and does so, or has done so: there is one
 * delivery per job, whoever starts it. If Temporal cannot be reached, the alert stays pending (see lost-jobs.ts).
 */
export async function sendPendingAlert(
  { db, jobs, logger }: Pick<ServiceDeps, 'db' | 'jobs' | 'logger'>,
  connectorId: string,
): Promise<void> {
  const alert = await pendingAlert(db, connectorId);
  if (!alert) return;
  try {
    const control = await jobs();
    if ((await control.describe(alert.jobId)) === 'RUNNING') return;
    await control.alert({
      ...alert,
      taskQueue: alert.taskQueue ?? (await taskQueueOfTenant(db)),
      ...namedTenant(db.tenant),
    });
    await alertStarted(db, connectorId, alert.jobId);
  } catch (err) {
    logger.warn({ job: alert.jobId, err }, 'the alert of a job cannot be sent; retrying in half a minute');
  }
}
