import type { AlertRequest } from '../contract/job.ts';
import { deliveryOn } from './activity-proxies.ts';

/**
 * Sends a job's alert to its connector's webhook. A workflow of its own, which outlives the job's: while it tries again, the connector is
 * free and its schedule skips no run. Fails where the receiver refuses, or does not answer for a day.
 */
export async function sendAlert(request: AlertRequest): Promise<string> {
  return deliveryOn(request).deliverAlert(request);
}
