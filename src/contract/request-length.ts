import type { ReconcileRequest } from './job.ts';

/** The longest request as JSON, in UTF-8 bytes. The input of each run of its job's workflow contains it, that of each claim, and the job's record. */
const MAX_REQUEST_BYTES = 64 * 1024;

/** What is wrong with a request that is too long; undefined if it is not. */
export function tooLong(request: unknown): string | undefined {
  // A retry adds these two.
  const { connectorName: _, retryOf: __, ...asked } = (request ?? {}) as ReconcileRequest;
  const bytes = new TextEncoder().encode(JSON.stringify(asked)).length;
  if (bytes <= MAX_REQUEST_BYTES) return undefined;
  return `the request has ${bytes} bytes as JSON, at most ${MAX_REQUEST_BYTES} are allowed: name fewer namespaces, columns, branches or snapshots, or set them in the connector's source`;
}
