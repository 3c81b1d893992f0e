import { isClaimLost } from '../../catalog-client/claim.ts';
import type { TableSplit } from '../../contract/activities.ts';
import type { CodedError } from '../../errors.ts';
import type { SnapshotDescriptor, TableReader } from '../../formats/table-reader.ts';
import { nearestCaptured } from '../plan/snapshot-plan.ts';
import type { TableIngest } from '../plan/table-ingest.ts';
import type { TablePlan } from '../plan/table-plan.ts';
import { isCatalogAway } from '../runtime/failures.ts';
import { type DueSnapshot, dueSnapshots } from './ahead/due-snapshots.ts';
import { Peekable } from './ahead/peekable.ts';
import { type NextChanges, ReadAhead } from './ahead/read-ahead.ts';
import { sendSmallSnapshots } from './ahead/small-snapshots.ts';
import { isUnreadable } from './changed-table.ts';
import { isBig, stagedGroups } from './file-groups.ts';
import type { IngestProgress } from './ingest-progress.ts';
import { putMetadata } from './put-metadata.ts';
import { putSchemaOf } from './put-schemas.ts';
import { cursorAt, putSnapshot } from './put-snapshot.ts';
import type { PutSnapshot } from './snapshot-message.ts';
import type { Put } from './stream-changes.ts';
import { UnreadableSnapshots } from './unreadable-snapshots.ts';

export interface IngestedSnapshots {
  /** All of the table's snapshots whose files are in by now. */
  captured: ReadonlySet<bigint>;
  /** The table was moved with the last snapshot. */
  moved: boolean;
  /** All are in; otherwise the slice was over, or one is big. */
  isComplete: boolean;
  /** The snapshot that comes next is big: these groups of its files come first. */
  split?: TableSplit;
}

/** Ingests or verifies the snapshots of a plan, a parent before its children. Those that cannot be read do not stop the others. */
export async function ingestSnapshots(
  plan: TablePlan,
  input: TableIngest,
  reader: TableReader,
  progress: IngestProgress,
): Promise<IngestedSnapshots> {
  const unreadable = new UnreadableSnapshots(plan, input, reader, progress);
  const { newTable } = plan.ensured;
  const ingested = await ingestReadable(plan, input, reader, progress, unreadable).catch(async (error: unknown) => {
    // A table that fails is bound to its name, too: otherwise each job would list the upstream twice, to find out what is gone.
    if (!input.heartbeat.signal.aborted && !isCatalogAway(error)) await newTable?.create().catch(() => {});
    throw error;
  });
  await newTable?.create();
  await unreadable.store();
  return ingested;
}

async function ingestReadable(
  plan: TablePlan,
  input: TableIngest,
  reader: TableReader,
  progress: IngestProgress,
  unreadable: UnreadableSnapshots,
): Promise<IngestedSnapshots> {
  const { deps, heartbeat } = input;
  await using ahead = new ReadAhead(reader, { columnIds: plan.columnIds, signal: heartbeat.signal });
  const { tableId } = plan.ensured.stored;
  const { messages } = plan.snapshots;
  const captured = new Set(plan.snapshots.captured);
  let newestCapturedBefore = newestBefore(plan.snapshots.ancestry.keys(), captured);
  const schemaIds = new Set(plan.olderSchemaIds).add(reader.descriptor.currentSchemaId);
  let moved = false;
  const due = new Peekable(dueSnapshots(plan, reader, progress));
  /** It was sent with others, and could not be stored. */
  let failed: DueSnapshot | undefined;
  for (let next = await due.peek(); next; next = await due.peek()) {
    heartbeat.signal.throwIfAborted();
    const { snapshot, isTried, isLast } = next;
    const { snapshotId } = snapshot;
    const stored = messages.get(snapshotId);
    if (hasNewSchema(snapshot)) {
      schemaIds.add(snapshot.schemaId as number);
      await plan.ensured.newTable?.create();
      await putSchemaOf(deps, tableId, snapshot, reader.descriptor);
    }
    if (plan.capture.mode === 'METADATA_ONLY') {
      await due.next();
      if (await putMetadata(deps, tableId, snapshot, stored)) progress.rowsWritten += 1;
      if (!stored) progress.snapshots += 1;
      if (endsSlice(snapshotId, isLast)) return { captured, moved, isComplete: false };
      continue;
    }
    const last = await ingestSmall();
    if (last) {
      if (endsSlice(last.snapshot.snapshotId, last.isLast)) return { captured, moved, isComplete: false };
      continue;
    }
    await due.next();
    const put = putNext(snapshot);
    put.onRead = () => ahead.begin(async () => (progress.isOver ? undefined : nextChanges(snapshotId)));
    let ingested = await unlessLost(put, input);
    // Only the base may be lost.
    if ('error' in ingested && put.base !== undefined)
      ingested = await unlessLost({ ...put, base: undefined, baseReadable: false }, input);
    if ('error' in ingested) {
      await unreadable.add(snapshot, ingested.error, isTried);
      if (endsSlice(snapshotId, isLast)) return { captured, moved, isComplete: false };
      continue;
    }
    if ('split' in ingested) return { captured, moved, isComplete: false, split: ingested.split };
    const { files, rowsWritten, tableUpdated, position } = ingested;
    if (position !== undefined) {
      progress.files += files;
      progress.rowsWritten += rowsWritten;
      progress.cursor = cursorAt(put, position);
      return { captured, moved, isComplete: false };
    }
    if (!put.before) {
      progress.snapshots += 1;
      progress.files += files;
    }
    progress.rowsWritten += rowsWritten;
    moved ||= tableUpdated;
    captured.add(snapshotId);
    if (endsSlice(snapshotId, isLast)) return { captured, moved, isComplete: false };
  }
  return { captured, moved, isComplete: true };

  /** @returns the last of some snapshots with few changes, which are ingested; undefined if the next one is to be ingested by itself */
  async function ingestSmall(): Promise<DueSnapshot | undefined> {
    const sent: DueSnapshot[] = [];
    const small = sendSmallSnapshots({
      ahead,
      async next() {
        const item = progress.isOver ? undefined : await due.peek();
        if (!item || item === failed || hasNewSchema(item.snapshot)) return undefined;
        const put = putNext(item.snapshot);
        if (put.before || put.resume !== undefined) return undefined;
        // Nothing is read ahead of what others may read, in groups.
        return input.split && (await isBig(put, input.split)) ? undefined : put;
      },
      async onSent(files) {
        const { value } = await due.next();
        sent.push(value);
        progress.sent.push([String(value.snapshot.snapshotId), files]);
        captured.add(value.snapshot.snapshotId);
        progress.beat();
      },
      beat: () => progress.beat(),
    });
    const response = await small.catch((error: unknown) => {
      if (heartbeat.signal.aborted || isCatalogAway(error) || isClaimLost(error)) throw error;
      // By itself, it is ingested in another way, or fails again.
      return undefined;
    });
    const stored = response?.completeSnapshots ?? 0;
    const again = sent.splice(stored);
    progress.sent = [];
    [failed] = again;
    if (again.length > 0) {
      for (const { snapshot } of again) captured.delete(snapshot.snapshotId);
      due.putBack(again);
      newestCapturedBefore = newestBefore(plan.snapshots.ancestry.keys(), captured);
    }
    if (!response) return undefined;
    progress.snapshots += stored;
    progress.files += Number(response.filesAdded + response.filesRemoved);
    progress.rowsWritten += Number(response.rowsWritten);
    moved ||= response.tableUpdated;
    return sent.at(-1);
  }

  function hasNewSchema({ schemaId }: SnapshotDescriptor): boolean {
    return schemaId !== undefined && !schemaIds.has(schemaId);
  }

  function putNext(snapshot: SnapshotDescriptor): PutSnapshot {
    const newest = newestCapturedBefore(snapshot.snapshotId);
    return putOf(snapshot, { plan, input, reader, ahead, progress, captured, newest });
  }

  /** What is read after this snapshot, if that comes in. */
  async function nextChanges(snapshotId: bigint): Promise<NextChanges | undefined> {
    const next = (await due.peek())?.snapshot;
    if (!next) return undefined;
    const stored = messages.get(next.snapshotId);
    const parent = next.parentSnapshotId === snapshotId ? snapshotId : undefined;
    const base = stored?.captured
      ? stored.baseSnapshotId
      : (parent ?? nearestCaptured(plan.snapshots.ancestry, captured, next.parentSnapshotId));
    return base === undefined ? undefined : { snapshotId: next.snapshotId, base };
  }

  /** A slice makes some progress, however long planning takes: it ends after a snapshot, and never before one. */
  function endsSlice(snapshotId: bigint, isLast: boolean): boolean {
    progress.cursor = plan.full ? { verified: String(snapshotId) } : undefined;
    progress.beat();
    return !isLast && progress.isOver;
  }
}

/** Ingests or splits a snapshot. @returns the error if the snapshot's metadata, or its base's, is gone or broken */
async function unlessLost(
  put: PutSnapshot,
  input: TableIngest,
): Promise<Put | { split: TableSplit } | { error: CodedError }> {
  try {
    await put.ahead.keepOnly(put.snapshot.snapshotId, put.base);
    const groups = await splitIfBig(put, input);
    return groups?.split ? { split: groups.split } : await putSnapshot({ ...put, groups });
  } catch (error) {
    if (isUnreadable(error)) return { error };
    throw error;
  }
}

interface PutContext {
  plan: TablePlan;
  input: TableIngest;
  reader: TableReader;
  ahead: ReadAhead;
  progress: IngestProgress;
  captured: ReadonlySet<bigint>;
  newest: bigint | undefined;
}

function putOf(
  snapshot: SnapshotDescriptor,
  { plan, input, reader, ahead, progress, captured, newest }: PutContext,
): PutSnapshot {
  const { deps, heartbeat, resume } = input;
  const { ancestry, messages, last, expired } = plan.snapshots;
  const { snapshotId, parentSnapshotId } = snapshot;
  const stored = messages.get(snapshotId);
  const verified = stored?.captured ? stored : undefined;
  return {
    deps,
    reader,
    ahead,
    tableId: plan.ensured.stored.tableId,
    newTable: plan.ensured.newTable,
    ancestry,
    snapshot,
    columnIds: plan.columnIds,
    heartbeat,
    before: verified,
    base: verified ? verified.baseSnapshotId : (nearestCaptured(ancestry, captured, parentSnapshotId) ?? newest),
    baseReadable: verified?.baseSnapshotId === undefined || ancestry.has(verified.baseSnapshotId),
    // With the last snapshot, unless something is to expire before the pointer moves, or cannot be read.
    updateTable: snapshotId === last && expired.length === 0 && !progress.unreadable ? plan.move?.request : undefined,
    resume: !verified && resume?.cursor?.snapshotId === String(snapshotId) ? resume.cursor.position : undefined,
    counts: progress.counts,
    verifiedUpTo: progress.cursor?.verified,
    unreadable: progress.unreadable,
  };
}

function splitIfBig(put: PutSnapshot, { full, split }: TableIngest) {
  return full || !split || put.resume !== undefined ? undefined : stagedGroups(put, split);
}

/**
 * For snapshots in the order of the history: the newest captured one before each, which a snapshot without a captured ancestor is read
 * against.
 */
function newestBefore(history: Iterator<bigint>, captured: ReadonlySet<bigint>) {
  let newest: bigint | undefined;
  let current: bigint | undefined;
  return (snapshotId: bigint): bigint | undefined => {
    while (current !== snapshotId) {
      if (current !== undefined && captured.has(current)) newest = current;
      const next = history.next();
      if (next.done) break;
      current = next.value;
    }
    return newest;
  };
}
