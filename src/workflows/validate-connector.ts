import type { ValidateRequest, ValidateResult } from '../contract/job.ts';
import { validateOn } from './activity-proxies.ts';

/** Opens a connector's upstream in a worker and returns what it found: the catalog service never opens one itself. */
export async function validateConnector(request: ValidateRequest): Promise<ValidateResult> {
  return validateOn(request)(request);
}
