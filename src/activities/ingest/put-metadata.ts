import type { SnapshotDescriptor } from '../../formats/table-reader.ts';
import { type Snapshot, Snapshot as SnapshotMessage } from '../../generated/reconciler/v1/snapshots.ts';
import type { ActivityDeps } from '../runtime/deps.ts';
import { toSnapshotMessage } from './snapshot-message.ts';

/**
 * Ingests a snapshot without its files.
 *
 * @param stored as the catalog has it, if it does
 * @param unreadable why its files cannot be read
 * @returns whether the catalog had it otherwise
 */
export async function putMetadata(
  { catalog }: Pick<ActivityDeps, 'catalog'>,
  tableId: string,
  snapshot: SnapshotDescriptor,
  stored: Snapshot | undefined,
  unreadable = stored?.unreadable,
): Promise<boolean> {
  const message = { ...toSnapshotMessage({ tableId, snapshot }, stored?.baseSnapshotId), unreadable };
  const after = await catalog.snapshots.createSnapshot({ snapshot: message, metadataOnly: true });
  // The summary is written as well, but was not kept for a comparison.
  const text = (version: Snapshot) => JSON.stringify(SnapshotMessage.toJSON({ ...version, summary: {} }));
  return stored !== undefined && text(stored) !== text(after);
}
