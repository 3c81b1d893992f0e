import type { Kysely } from 'kysely';
import { CodedError } from '../../errors.ts';
import type { FileKind } from '../store/database/file-kind.ts';
import type { Schema } from '../store/database/schema.ts';
import { type LiveCursor, type LiveFile, nextLiveFiles } from '../store/files/live-files.ts';
import { generationOf } from '../store/files/recompute.ts';
import { SnapshotIds } from '../store/files/snapshot-ids.ts';
import { ancestryOf, type Position } from '../store/lineage/lineage.ts';
import { positionOf, type StoredSnapshot, snapshotToRead } from '../store/snapshots/snapshots.ts';
import { type SnapshotSchemas, snapshotSchemas } from '../store/tables/table-schemas.ts';
import { getTableRow } from '../store/tables/tables.ts';
import { FileMessages, selectedIds } from './file-messages.ts';

type Db = Kysely<Schema>;
type Table = Awaited<ReturnType<typeof getTableRow>>;

/** Rows of one query; small enough that files of very wide tables do not fill the memory. */
const STEP = 200;

/** A snapshot that is being read, page by page. */
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
 * @param choose which one; the current one of the table, if it gives undefined
 * @throws CodedError NOT_FOUND, INVALID_ARGUMENT for columns that are not there
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
  const messages = new FileMessages(schemas, ids, places);
  return { table, row, path, schemas, messages, places, generation: await generationOf(db, table.table_num) };
}

/** @throws CodedError ABORTED where statistics were replaced since the reader was opened or its page token made */
export async function refuseReplaced(db: Db, reader: SnapshotReader, generation = reader.generation): Promise<void> {
  if ((await generationOf(db, reader.table.table_num)) === generation) return;
  throw new CodedError(
    'ABORTED',
    `statistics of table ${reader.table.table_id} were replaced while they were read: start again from the first page`,
  );
}

/** Walks over the live files from a cursor, checking at every step that no statistics were replaced in between. */
export async function* liveFiles(
  db: Db,
  reader: SnapshotReader,
  kinds: readonly FileKind[],
  after?: LiveCursor,
): AsyncIterable<LiveFile[]> {
  let cursor = after;
  do {
    const { files, next } = await nextLiveFiles(db, reader.path, kinds, STEP, cursor);
    await reader.places.load(files);
    await refuseReplaced(db, reader);
    yield files;
    cursor = next;
  } while (cursor);
}
