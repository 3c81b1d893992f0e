import type { SnapshotDescriptor, TableReader } from '../../../formats/table-reader.ts';
import type { TablePlan } from '../../plan/table-plan.ts';
import type { IngestProgress } from '../ingest-progress.ts';

export interface DueSnapshot {
  snapshot: SnapshotDescriptor;
  /** An earlier slice or attempt has tried it. */
  isTried: boolean;
  isLast: boolean;
}

/** The snapshots of a plan that no earlier job, slice or attempt has dealt with. */
export async function* dueSnapshots(
  { snapshots, capture, full }: TablePlan,
  reader: TableReader,
  { cursor, unreadable }: IngestProgress,
): AsyncGenerator<DueSnapshot> {
  const { todo, messages, known, captured } = snapshots;
  const done = capture.mode === 'METADATA_ONLY' ? known : captured;
  const isVerified = upTo(full ? cursor?.verified : undefined, todo);
  const wasTried = upTo(unreadable?.last, todo);
  let left = todo.size;
  for await (const snapshot of reader.snapshots(todo)) {
    const { snapshotId } = snapshot;
    left -= 1;
    // Both are asked about each snapshot, so that they notice where their part ends.
    const [isDone, isTried] = [isVerified(snapshotId), wasTried(snapshotId)];
    if (isDone && done.has(snapshotId)) continue;
    if (isTried && messages.get(snapshotId)?.unreadable) continue;
    yield { snapshot, isTried, isLast: left === 0 };
  }
}

/** Whether an earlier slice or attempt has dealt with a snapshot: one up to `last`. If that is gone by now, it deals with all again. */
function upTo(last: string | undefined, todo: ReadonlySet<bigint>): (snapshotId: bigint) => boolean {
  let isBefore = last !== undefined && todo.has(BigInt(last));
  return (snapshotId) => {
    const wasBefore = isBefore;
    if (String(snapshotId) === last) isBefore = false;
    return wasBefore;
  };
}
