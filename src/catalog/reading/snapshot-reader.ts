import { CodedError } from '../../errors.ts';
import type { FileKind } from '../store/database/file-kind.ts';
import type { Scoped } from '../store/database/scoped.ts';
import { type LiveCursor, type LiveFile, nextLiveFiles } from '../store/files/live-files.ts';
import { generationOf } from '../store/files/recompute.ts';
import { SnapshotIds } from '../store/files/snapshot-ids.ts';
import { ancestryOf, type Position } from '../store/lineage/lineage.ts';
import { positionOf, type StoredSnapshot, snapshotToRead } from '../store/snapshots/snapshots.ts';
import { type SnapshotSchemas, snapshotSchemas } from '../store/tables/table-schemas.ts';
import { getTableRow } from '../store/tables/tables.ts';
import { FileMessages, selectedIds } from './file-messages.ts';

type Db = Scoped;
type Table = Awaited<ReturnType<typeof getTableRow>>;

/** Files per query. The first query has few, because the statistics of a file can have megabytes; the next ones about `BATCH_BYTES`. */
const BATCH_FILES = { first: 10, most: 200 };
const BATCH_BYTES = 4 * 1024 * 1024;

/** What is needed to read the files of a snapshot page by page. */
export interface SnapshotReader {
  table: Table;
  row: StoredSnapshot;
  path: Position[];
  schemas: SnapshotSchemas;
  messages: FileMessages;
  places: SnapshotIds;
  /** See TableContentRow. */
  generation: number;
}

/**
 * Opens a snapshot for reading.
 *
 * @param choose returns the snapshot's id; undefined for the table's current snapshot
 * @throws CodedError NOT_FOUND if the table or snapshot does not exist, INVALID_ARGUMENT if a column does not
 */
export async function openSnapshot(
  db: Db,
  tableId: string,
  choose: (table: Table) => Promise<bigint | undefined>,
  columns: readonly string[],
): Promise<SnapshotReader> {
  const table = await getTableRow(db, tableId);
  const row = await snapshotToRead(db, table, await choose(table));
  const schemas = await snapshotSchemas(db, table.table_num, row.schema_id, table.schema_id);
  const ids = selectedIds(schemas, columns);
  const path = await ancestryOf(db, positionOf(row));
  const places = new SnapshotIds(db);
  const messages = new FileMessages(schemas, table, ids, places);
  return { table, row, path, schemas, messages, places, generation: await generationOf(db, table.table_num) };
}

/** @throws CodedError ABORTED if statistics were replaced since the reader was opened or its page token was created */
export async function refuseReplaced(db: Db, reader: SnapshotReader, generation = reader.generation): Promise<void> {
  if ((await generationOf(db, reader.table.table_num)) === generation) return;
  throw new CodedError(
    'ABORTED',
    `statistics of table ${reader.table.table_id} were replaced while they were being read: start again with the first page`,
  );
}

/** Yields the live files after a cursor in batches. Checks before each batch that no statistics were replaced in the meantime. */
export async function* liveFiles(
  db: Db,
  reader: SnapshotReader,
  kinds: readonly FileKind[],
  after?: LiveCursor,
): AsyncIterable<LiveFile[]> {
  let cursor = after;
  let limit = BATCH_FILES.first;
  do {
    const { files, next } = await nextLiveFiles(db, reader.path, kinds, limit, cursor);
    const bytes = files.reduce((sum, { body }) => sum + body.length, 0);
    if (bytes > 0) limit = Math.min(BATCH_FILES.most, Math.ceil((BATCH_BYTES * files.length) / bytes));
    await reader.places.load(files);
    await refuseReplaced(db, reader);
    yield files;
    cursor = next;
  } while (cursor);
}
