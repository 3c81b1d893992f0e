import { CodedError, type CodeName } from '../../errors.ts';

/** Trying again later may do. */
const PASSING: ReadonlySet<CodeName> = new Set<CodeName>(['UNAVAILABLE', 'DEADLINE_EXCEEDED', 'ABORTED']);

/**
 * Why a data file cannot be read, if it stays so: statistics that only inform do without it then, and the table is none the worse.
 *
 * @throws the error itself where it may pass: then the activity is tried again
 */
export function unreadable(error: unknown, signal: AbortSignal): { reason: string; isDenied: boolean } {
  if (signal.aborted) throw signal.reason;
  // What a decoder makes of broken bytes may be any error; none of them passes.
  if (!(error instanceof CodedError)) return { reason: String((error as Error)?.message ?? error), isDenied: false };
  if (PASSING.has(error.code) || error.retryAfterMs !== undefined) throw error;
  const isDenied = error.code === 'PERMISSION_DENIED' || error.code === 'UNAUTHENTICATED';
  return { reason: error.message, isDenied };
}
