import { CodedError, type CodeName } from '../../errors.ts';

/** The file is gone, broken, encrypted or too large (`FAILED_PRECONDITION`, as in metadata), its path is none, or it may not be read. */
const LASTING: ReadonlySet<CodeName> = new Set<CodeName>([
  'DATA_LOSS',
  'NOT_FOUND',
  'UNIMPLEMENTED',
  'FAILED_PRECONDITION',
  'INVALID_ARGUMENT',
  'PERMISSION_DENIED',
]);

/**
 * Why a data file cannot be read, if it stays so: statistics that only inform do without it then, and the table is none the worse.
 *
 * @throws the error itself where it may pass, or says nothing of the file (credentials that are not taken): the table is tried again
 */
export function unreadable(error: unknown, signal: AbortSignal): { reason: string; isDenied: boolean } {
  if (signal.aborted) throw signal.reason;
  // What a decoder makes of broken bytes may be any error; none of them passes.
  if (!(error instanceof CodedError)) return { reason: String((error as Error)?.message ?? error), isDenied: false };
  if (!LASTING.has(error.code)) throw error;
  return { reason: error.message, isDenied: error.code === 'PERMISSION_DENIED' };
}
