import { CodedError } from '../../../errors.ts';

/**
 * What SQLite's error means for the person who named the file: `NOT_FOUND`, `FAILED_PRECONDITION` if it is no SQLite database, `DATA_LOSS` if
 * it is damaged, `RESOURCE_EXHAUSTED` if the disk is full, otherwise `UNAVAILABLE`. A CodedError is returned as it is.
 */
export function databaseError(file: string, cause: unknown): CodedError {
  if (cause instanceof CodedError) return cause;
  const { code = '', message } = cause as { code?: string; message: string };
  if (code === 'SQLITE_NOTADB') {
    return new CodedError(
      'FAILED_PRECONDITION',
      `${file} is not a SQLite database: if the backup was encrypted or compressed, decrypt or unpack it first`,
      { cause },
    );
  }
  if (code.startsWith('SQLITE_CORRUPT')) {
    return new CodedError('DATA_LOSS', `${file} is damaged: ${message}`, { cause });
  }
  if (code === 'SQLITE_FULL' || code === 'ENOSPC') {
    return new CodedError('RESOURCE_EXHAUSTED', `${file} cannot be copied: the disk is full`, { cause });
  }
  return new CodedError('UNAVAILABLE', `${file} cannot be read or copied: ${message}`, { cause });
}
