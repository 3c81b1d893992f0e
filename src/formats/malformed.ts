import { CodedError } from '../errors.ts';

/** What a decoder found wrong with its bytes. It does not know the file: `nameFile` adds that. */
export class MalformedError extends Error {
  override readonly name = 'MalformedError';
}

/**
 * What went wrong with a metadata file, as the error that people see: `DATA_LOSS` that names the file, what was found and
 * what to do. Codes that say something else (no permission, not to be reached now) stay.
 *
 * @param what such as `manifest`
 * @param path as the metadata says it
 */
export function fileError(what: string, path: string, error: unknown): unknown {
  if (error instanceof MalformedError) {
    return new CodedError(
      'DATA_LOSS',
      `${what} ${path} is broken: ${error.message}. Restore the file, or roll the table back to a state without it.`,
      { cause: error },
    );
  }
  if (error instanceof CodedError && !PASSED_ON.has(error.code)) {
    return new CodedError(
      'DATA_LOSS',
      `${what} ${path} cannot be read: ${error.message}. Restore the file, or roll the table back to a state without it.`,
      { cause: error },
    );
  }
  return error;
}

/** `FAILED_PRECONDITION` is not among them: here it is a file too large to be metadata, an archived one, or no file at all. */
const PASSED_ON: ReadonlySet<string> = new Set([
  'DATA_LOSS',
  'PERMISSION_DENIED',
  'UNAUTHENTICATED',
  'UNAVAILABLE',
  'DEADLINE_EXCEEDED',
  'RESOURCE_EXHAUSTED',
  'UNIMPLEMENTED',
]);
