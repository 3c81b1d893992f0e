import { CodedError } from '../errors.ts';

/** An error that a decoder found in its bytes. The decoder does not know the file; `fileError` adds its name. */
export class MalformedError extends Error {
  override readonly name = 'MalformedError';
}

/** It nests more deeply than anything real. */
export class DepthError extends MalformedError {}

/** What a decoder found in its bytes is not damaged, but more than is read: it would take too much memory. */
export class LimitError extends Error {
  override readonly name = 'LimitError';
}

/** What helps against damage. */
export const RESTORE = ' Restore the file, or roll the table back to a state without it.';

/**
 * Returns the error that users see for a metadata file: `DATA_LOSS` that names the file, what was found and what to do. Errors with
 * another cause (a missing setting or permission, a file that is too large, an unreachable store) are returned unchanged.
 *
 * @param what the kind of file, such as `manifest`
 * @param path the path in the metadata
 * @param advice what to do; empty if the table is complete without the file
 */
export function fileError(what: string, path: string, error: unknown, advice = RESTORE): unknown {
  if (error instanceof MalformedError) {
    return new CodedError('DATA_LOSS', `${what} ${path} is broken: ${error.message}.${advice}`, { cause: error });
  }
  if (error instanceof LimitError) {
    return new CodedError('FAILED_PRECONDITION', `${what} ${path} is too large: ${error.message}.`, { cause: error });
  }
  if (error instanceof CodedError && error.code === 'UNIMPLEMENTED') {
    return new CodedError('UNIMPLEMENTED', `${what} ${path} cannot be read: ${error.message}`, { cause: error });
  }
  if (error instanceof CodedError && !PASSED_ON.has(error.code)) {
    return new CodedError('DATA_LOSS', `${what} ${path} cannot be read: ${error.message}.${advice}`, { cause: error });
  }
  return error;
}

/** Codes that are not turned into `DATA_LOSS`: what they stand for is a setting, a limit, a permission or the network, not the file. */
const PASSED_ON: ReadonlySet<string> = new Set([
  'DATA_LOSS',
  'FAILED_PRECONDITION',
  'PERMISSION_DENIED',
  'UNAUTHENTICATED',
  'UNAVAILABLE',
  'DEADLINE_EXCEEDED',
  'RESOURCE_EXHAUSTED',
]);
