import type { ValidateRequest, ValidateResult } from '../contract/job.ts';
import { ingestOn, ingestOptions } from './activity-proxies.ts';

/** Opens a connector's upstream in a worker and says what it found: the catalog service never opens one itself. */
export async function validateConnector(request: ValidateRequest): Promise<ValidateResult> {
  // Somebody waits for the answer, which is as good as the first attempt's.
  const options = { ...ingestOptions(request.taskQueue), retry: { maximumAttempts: 1 } };
  return ingestOn(request).validateConnector.executeWithOptions(options, [request]);
}
