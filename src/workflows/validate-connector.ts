import { ingest } from './activities.ts';
import type { ValidateRequest, ValidateResult } from './contract.ts';

/** Opens a connector's upstream in a worker and says what it found: the catalog service never opens one itself. */
export async function validateConnector(request: ValidateRequest): Promise<ValidateResult> {
  return ingest.validateConnector(request);
}
