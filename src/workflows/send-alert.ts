import type { AlertRequest } from '../contract/job.ts';
import { deliverOn } from './activity-proxies.ts';

/**
 * Sends a job's alert to its connector's webhook. It outlives the job's own workflow, so that the connector is free, and its schedule skips
 * no run, while the alert is retried. Fails if the receiver refuses it or does not answer for a day.
 */
export async function sendAlert(request: AlertRequest): Promise<string> {
  return deliverOn(request)(request);
}
