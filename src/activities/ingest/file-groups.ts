import { createHash } from 'node:crypto';
import { encodeCommitRequest } from '../../catalog-client/raw-commit-snapshot.ts';
import type { TableSplit } from '../../contract/activities.ts';
import { identityText } from '../../contract/snapshot-digest.ts';
import type { ChangeRange } from '../../formats/table-reader.ts';
import type { SplitSize } from '../runtime/split-size.ts';
import type { PutSnapshot } from './snapshot-message.ts';
import { toSnapshotMessage } from './snapshot-message.ts';

/** Per snapshot. Each group costs a workflow's history about 1 KiB. */
const MAX_GROUPS = 64;

/**
 * Stages a big snapshot and cuts its changes into groups.
 *
 * @returns with `split`, the groups that must be ingested first; without it, all groups are stored and only the finish is missing. Undefined
 *   if the snapshot is not split because it is small or its changes cannot be read in parts
 */
export async function stagedGroups(
  put: PutSnapshot,
  size: SplitSize,
): Promise<{ key: string; names: string[]; split?: TableSplit } | undefined> {
  const { deps, reader, tableId, base, heartbeat } = put;
  const { snapshotId } = put.snapshot;
  const ranges = await rangesOf(put, size);
  if (ranges === undefined || ranges.length < 2 || !areMany(ranges, size)) return undefined;
  // Only counts can show that the groups make up the whole snapshot.
  if ((await reader.liveFileCounts(snapshotId)) === undefined) return undefined;

  const key = stageKey(put);
  const { complete, stagedGroups } = await deps.catalog.fileChanges.commitSnapshot(single(stageHeader(put)), {
    signal: heartbeat.signal,
  });
  put.newTable?.wasCreated();
  const names = ranges.map(groupName);
  const staged = new Set(stagedGroups);
  const missing = complete ? [] : ranges.filter((range) => !staged.has(groupName(range)));
  if (missing.length === 0) return { key, names };
  const groups = missing.map(({ from, to }) => ({ from, to }));
  return {
    key,
    names,
    split: { tableId, snapshotId: String(snapshotId), ...(base !== undefined && { base: String(base) }), key, groups },
  };
}

/** Whether a snapshot is large enough to be divided into groups; false if the number of its changes is unknown. */
export async function isBig(put: PutSnapshot, size: SplitSize): Promise<boolean> {
  return areMany((await rangesOf(put, size)) ?? [], size);
}

async function rangesOf({ reader, snapshot, base }: PutSnapshot, { group }: SplitSize) {
  return reader.changeRanges?.(snapshot.snapshotId, { base, size: group, maxRanges: MAX_GROUPS });
}

function areMany(ranges: readonly ChangeRange[], { above }: SplitSize): boolean {
  return ranges.reduce((sum, { changes }) => sum + changes, 0) > above;
}

/** The header that stages a snapshot. @throws CodedError FAILED_PRECONDITION if the snapshot is too large to transfer */
export function stageHeader(put: PutSnapshot): Uint8Array {
  return encodeCommitRequest({
    $case: 'header',
    value: {
      tableId: put.tableId,
      snapshotId: put.snapshot.snapshotId,
      idempotencyKey: stageKey(put),
      replace: false,
      whole: false,
      snapshot: toSnapshotMessage(put, put.base),
      ensureTable: put.newTable?.request,
    },
  });
}

/**
 * Idempotency key of a snapshot's streams. It differs if the id of the snapshot, or of its base, stands for another snapshot by now, or if other
 * columns are selected: changes that were staged before are not mixed with others.
 */
export function stageKey({ tableId, snapshot: { snapshotId }, base, ancestry, columnIds }: Staging): string {
  const identities = [snapshotId, base].map((id) => {
    const entry = id === undefined ? undefined : ancestry.get(id);
    return entry ? identityText(entry) : '';
  });
  const columns = columnIds ? [...columnIds].sort((a, b) => a - b) : 'all';
  const hash = createHash('sha256').update(JSON.stringify([identities, columns]));
  return `${tableId}/${snapshotId}/${hash.digest('hex').slice(0, 16)}`;
}

/** What the streams of a snapshot have in common. */
type Staging = Pick<PutSnapshot, 'tableId' | 'base' | 'ancestry' | 'columnIds'> & { snapshot: { snapshotId: bigint } };

/** The same in every attempt, as long as the snapshot is split in the same way. */
export function groupName({ from, to }: Pick<ChangeRange, 'from' | 'to'>): string {
  return `${from}-${to}`;
}

async function* single<T>(item: T): AsyncGenerator<T> {
  yield item;
}
