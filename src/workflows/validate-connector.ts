import type { ValidateRequest, ValidateResult } from '../contract/job.ts';
import { ingestOn, ingestOptions } from './activity-proxies.ts';

/** Opens a connector's upstream in a worker and returns what it found: the catalog service never opens one itself. */
export async function validateConnector(request: ValidateRequest): Promise<ValidateResult> {
  // Somebody waits for the result, and the first attempt's is as good as a later one's.
  const options = { ...ingestOptions(request.taskQueue), retry: { maximumAttempts: 1 } };
  return ingestOn(request).validateConnector.executeWithOptions(options, [request]);
}
