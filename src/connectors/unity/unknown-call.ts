import { ResponseError } from '../rest/response-error.ts';

/** Whether a server does not have a call, rather than what was requested by it. Databricks has a code for that, others have none. */
export function isUnknownCall(error: unknown): boolean {
  if (!(error instanceof ResponseError)) return false;
  const { status, reported } = error;
  return status === 405 || status === 501 || (status === 404 && /^(ENDPOINT_NOT_FOUND)?$/.test(reported?.type ?? ''));
}
