import { z } from 'zod';
import type { ListSnapshotsResponse } from '../../generated/reconciler/v1/snapshots.ts';
import { PageTokens } from '../rpc/page-token.ts';
import type { Scoped } from '../store/database/scoped.ts';
import { listSnapshotRows, refsBySnapshot, snapshotFromRow } from '../store/snapshots/snapshots.ts';
import type { getTableRow } from '../store/tables/tables.ts';

const tokens = new PageTokens('ListSnapshots', z.object({ published: z.number() }));

interface SnapshotPage {
  table: Awaited<ReturnType<typeof getTableRow>>;
  size: number;
  /** Empty for the first page. */
  pageToken?: string;
  showExpired?: boolean;
  newestFirst?: boolean;
}

/** A page of a table's snapshots. @throws InvalidRequest if the page token was returned for another request */
export async function listPage(
  db: Scoped,
  { table, size, pageToken = '', showExpired = false, newestFirst = false }: SnapshotPage,
): Promise<ListSnapshotsResponse> {
  const filter = [table.table_id, showExpired, newestFirst];
  const after = tokens.decode(pageToken, filter);
  const { items, last } = await listSnapshotRows(
    db,
    table.table_num,
    size,
    { showExpired, newestFirst },
    after?.published,
  );
  const refs = refsBySnapshot(table);
  return {
    snapshots: items.map((row) => snapshotFromRow(row, table, refs)),
    nextPageToken: last ? tokens.encode({ published: last.published ?? 0 }, filter) : '',
  };
}
