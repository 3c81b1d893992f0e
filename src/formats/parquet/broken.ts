import { CodedError } from '../../errors.ts';

/** Returns the error for a data file that is corrupt or not Parquet. The caller adds the file's name. */
export function broken(message: string, cause?: unknown): CodedError {
  return new CodedError('DATA_LOSS', message, { cause });
}
