import { CodedError } from '../../../errors.ts';
import type { StoredSnapshot } from '../snapshots/snapshots.ts';
import type { Totals } from './totals.ts';

/** Number of position delete files, equality delete files and deletion vectors. */
export function deleteFileCount(totals: Totals): bigint {
  return totals[2].files + totals[3].files + totals[4].files;
}

type SnapshotName = Pick<StoredSnapshot, 'snapshot_id' | 'base_snapshot_id'>;

/** @throws CodedError FAILED_PRECONDITION if the numbers of live files differ from the upstream's */
export function checkCounts(totals: Totals, expected: ExpectedCounts, row: SnapshotName, tableId: string): void {
  const mismatches: string[] = [];
  const compare = (what: string, found: bigint, count: bigint | undefined) => {
    if (count !== undefined && found !== count) mismatches.push(`${found} ${what} live, expected ${count}`);
  };
  compare('data files', totals[1].files, expected.dataFiles);
  compare('delete files', deleteFileCount(totals), expected.deleteFiles);
  if (mismatches.length === 0) return;
  const base = row.base_snapshot_id === null ? 'without a base' : `based on ${row.base_snapshot_id}`;
  throw new CodedError(
    'FAILED_PRECONDITION',
    `snapshot ${row.snapshot_id} of table ${tableId} (${base}) has ${mismatches.join(' and ')}: nothing became visible; ` +
      'send its changes again, from the start',
  );
}

/** Numbers of live files according to the upstream. */
export interface ExpectedCounts {
  dataFiles: bigint | undefined;
  deleteFiles: bigint | undefined;
}
