import { CodedError } from '../../errors.ts';
import { TooLargeError } from '../too-large-error.ts';

/** The header `Range` for these bytes of an object (RFC 9110, "Byte Ranges"); undefined for all of them. */
export function rangeHeader(start: number, end: number | undefined): string | undefined {
  return start > 0 || end !== undefined ? `bytes=${start}-${end === undefined ? '' : end - 1}` : undefined;
}

/**
 * Checks the announced length of an object, or of a range of it, before memory is allocated.
 *
 * @param response.isRange the response has only the requested bytes
 * @param request.where the store, for messages
 * @throws TooLargeError, or CodedError `FAILED_PRECONDITION` without a length, `UNIMPLEMENTED` if the store ignored the range
 */
export function checkedLength(
  { length, isRange }: { length: number | undefined; isRange: boolean },
  { path, range, maxBytes, where }: { path: string; range?: string; maxBytes: number; where: string },
): number {
  if (length === undefined || Number.isNaN(length)) {
    throw new CodedError('FAILED_PRECONDITION', `cannot read ${path}: ${where} sent no Content-Length`);
  }
  // An empty object has no ranges.
  if (range !== undefined && !isRange && length > 0) {
    throw new CodedError(
      'UNIMPLEMENTED',
      `cannot read ${path}: ${where} ignored the requested range (${range}) and returned the whole object`,
    );
  }
  if (length > maxBytes) {
    throw new TooLargeError(`${path} has ${length} bytes to read; the limit is ${maxBytes}`, length);
  }
  return length;
}
