import type { UpstreamCatalog } from '../../connectors/spi.ts';
import type { TableRef } from '../../contract/upstream-names.ts';
import { CodedError } from '../../errors.ts';
import type { TableReader } from '../../formats/table-reader.ts';

/** A writer may expire what is being read. The table is not broken then, and the error is ABORTED: its new state can be read. */
export async function abortIfTableChanged<T>(
  upstream: UpstreamCatalog,
  table: TableRef,
  reader: TableReader,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (isDataLoss(error)) await refuseChanged(upstream, table, reader, error);
    throw error;
  }
}

/** @param error what reading the table led to @throws CodedError ABORTED if the table has changed since it was opened */
export async function refuseChanged(
  upstream: UpstreamCatalog,
  table: TableRef,
  { descriptor: { fingerprint } }: TableReader,
  error: CodedError,
): Promise<void> {
  const current = await upstream.fingerprint(table, fingerprint).catch(() => fingerprint);
  if (current === fingerprint) return;
  throw new CodedError('ABORTED', `The table changed while it was read: ${error.message}`, { cause: error });
}

/** Whether the error is one of the snapshot that was read: its metadata is gone or broken, or a later version of the format is needed. */
export function isUnreadable(error: unknown): error is CodedError {
  return isDataLoss(error) || (error instanceof CodedError && error.code === 'UNIMPLEMENTED');
}

function isDataLoss(error: unknown): error is CodedError {
  return error instanceof CodedError && error.code === 'DATA_LOSS';
}
