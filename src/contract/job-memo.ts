import { truncate } from '../text.ts';
import type { ReconcileRequest } from './job.ts';
import { triggerOf } from './search-attributes.ts';

/** Lists of workflows contain their memos, so they stay small; the input has the whole request, which may have 64 KiB. */
const MAX_REQUEST = 1_000;

/**
 * The memo of a job's workflow: for people, and for tools that read lists of workflows.
 *
 * @param retryOf the job that it retries; a retry of a whole job does not name it in the request
 */
export function jobMemo(
  request: ReconcileRequest,
  connector: { id: string; name: string },
  retryOf = request.retryOf,
): Record<string, string> {
  return {
    connector: connector.name,
    connectorId: connector.id,
    trigger: triggerOf(request),
    ...(request.tenant ? { tenant: request.tenant } : {}),
    ...(retryOf ? { retryOf } : {}),
    request: truncate(JSON.stringify(request), MAX_REQUEST),
  };
}
