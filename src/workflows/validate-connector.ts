import { ApplicationFailure } from '@temporalio/workflow';
import type { ValidateRequest, ValidateResult } from '../contract/job.ts';
import { validateOn } from './activity-proxies.ts';

/** Complete, so that a key which is added to the request is added here. */
const KNOWN: Record<keyof ValidateRequest, true> = { connectorId: true, draftId: true, taskQueue: true, tenant: true };

/**
 * Opens a connector's upstream in a worker and returns what it found: the catalog service never opens one itself. The connector is in the catalog.
 *
 * @throws ApplicationFailure INVALID_ARGUMENT for an input with other keys
 */
export async function validateConnector(request: ValidateRequest): Promise<ValidateResult> {
  const unknown = Object.keys(request ?? {}).find((key) => !Object.hasOwn(KNOWN, key));
  if (unknown !== undefined || !(request?.connectorId || request?.draftId)) {
    const wrong = unknown === undefined ? 'it names no connector' : `the key '${unknown.slice(0, 100)}' is unknown`;
    throw ApplicationFailure.nonRetryable(
      `the input of the workflow is invalid: ${wrong}. It is the id of a stored connector, such as {"connectorId": "con_01k…"}.`,
      'INVALID_ARGUMENT',
    );
  }
  return validateOn(request)(request);
}
