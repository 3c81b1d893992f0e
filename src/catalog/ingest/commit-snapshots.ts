import type { CommitSnapshotResponse } from '../../generated/reconciler/internal/v1/ingestion.ts';
import type { ServiceDeps } from '../core/ports.ts';
import type { CommitMessage } from './commit-message.ts';
import { commitSnapshot } from './commit-snapshot.ts';

/**
 * Stores the snapshots of one stream, one after the other: a table may have thousands of snapshots with few files each, and a call costs more
 * than storing one of them.
 *
 * @throws the error of the first one; the response states how many were stored if another one failed
 */
export async function commitSnapshots(
  deps: ServiceDeps,
  messages: AsyncIterable<CommitMessage>,
): Promise<CommitSnapshotResponse> {
  const source = messages[Symbol.asyncIterator]();
  let isFinished = false;
  /** The messages of one snapshot, and all that follow. */
  async function* from(header?: CommitMessage): AsyncGenerator<CommitMessage> {
    if (header) yield header;
    for (let next = await source.next(); !next.done; next = await source.next()) {
      isFinished = next.value.case === 'finish';
      yield next.value;
    }
  }
  /** Between two snapshots, there may be changes without effect, which keep the call alive. */
  async function nextHeader(): Promise<CommitMessage | undefined> {
    for (let next = await source.next(); !next.done; next = await source.next()) {
      if (next.value.case === 'header') return next.value;
    }
    return undefined;
  }

  const excess = await deps.limits.excess('files');
  if (excess) throw excess;
  let sum = await commitSnapshot(deps, from());
  // A snapshot that was complete before its finish is answered at once: nobody has to send its changes.
  while (sum.complete && isFinished) {
    const header = await nextHeader();
    if (!header) return sum;
    isFinished = false;
    try {
      sum = plus(sum, await commitSnapshot(deps, from(header)));
    } catch {
      return { ...sum, complete: false, tableUpdated: false };
    }
  }
  return sum;
}

function plus(before: CommitSnapshotResponse, last: CommitSnapshotResponse): CommitSnapshotResponse {
  return {
    ...last,
    filesAdded: before.filesAdded + last.filesAdded,
    filesRemoved: before.filesRemoved + last.filesRemoved,
    rowsWritten: before.rowsWritten + last.rowsWritten,
    completeSnapshots: before.completeSnapshots + last.completeSnapshots,
  };
}
