import { CodedError, type CodeName } from '../../errors.ts';

/** The file is gone, broken, encrypted or too large (`FAILED_PRECONDITION`, as for metadata), its path is invalid, or it may not be read. */
const LASTING: ReadonlySet<CodeName> = new Set<CodeName>([
  'DATA_LOSS',
  'NOT_FOUND',
  'UNIMPLEMENTED',
  'FAILED_PRECONDITION',
  'INVALID_ARGUMENT',
  'PERMISSION_DENIED',
]);

/**
 * Why a data file permanently cannot be read. Optional statistics leave out such a file.
 *
 * @throws the error itself if it is transient, or not about the file (rejected credentials): the table is tried again
 */
export function unreadable(error: unknown, signal: AbortSignal): { reason: string; isDenied: boolean } {
  if (signal.aborted) throw signal.reason;
  // A decoder may throw any error on broken bytes, and will do so again.
  if (!(error instanceof CodedError)) return { reason: String((error as Error)?.message ?? error), isDenied: false };
  if (!LASTING.has(error.code)) throw error;
  return { reason: error.message, isDenied: error.code === 'PERMISSION_DENIED' };
}
