import { CodedError } from '../../errors.ts';

/** A data file that is no Parquet file, or a damaged one. The caller names it. */
export function broken(message: string, cause?: unknown): CodedError {
  return new CodedError('DATA_LOSS', message, { cause });
}
