import { type Insertable, type Kysely, type Selectable, sql } from 'kysely';
import { CodedError } from '../../../errors.ts';
import type { Snapshot } from '../../../generated/reconciler/v1/snapshots.ts';
import { compiledQuery, compiledWrite } from '../database/compiled-query.ts';
import { notFound } from '../database/errors.ts';
import { date, jsonMap, ms } from '../database/json.ts';
import { bytesOf, type Page, readPage } from '../database/page-cut.ts';
import type { Schema, SnapshotRow } from '../database/schema.ts';
import { newPosition, type Position } from '../lineage/lineage.ts';
import type { getTableRow } from '../tables/tables.ts';

type Db = Kysely<Schema>;
type Table = Awaited<ReturnType<typeof getTableRow>>;
export type StoredSnapshot = Selectable<SnapshotRow>;

export function positionOf(row: StoredSnapshot): Position {
  return { chain: row.chain_num, ord: row.ord };
}

/** Finds a snapshot by id, even if it is only staged. @param replacement the one that is staged to take the other's place */
export async function findSnapshotRow(
  db: Db,
  tableNum: number,
  id: bigint | string,
  { replacement = false } = {},
): Promise<StoredSnapshot | undefined> {
  return (await byId(db, tableNum, id.toString(), Number(replacement)))[0];
}

const byId = compiledQuery((db, tableNum: number, id: string, replacement: number) =>
  db
    .selectFrom('snapshots')
    .selectAll()
    .where('table_num', '=', tableNum)
    .where('snapshot_id', '=', id)
    .where('replacement', '=', replacement),
);

/** The snapshot as it is stored now; undefined if it was deleted. */
export async function currentRow(db: Db, { snapshot_num }: StoredSnapshot): Promise<StoredSnapshot | undefined> {
  return db.selectFrom('snapshots').selectAll().where('snapshot_num', '=', snapshot_num).executeTakeFirst();
}

/** Returns a visible snapshot, with or without its files. @throws CodedError NOT_FOUND */
export async function getSnapshotRow(db: Db, table: Table, id: bigint | string): Promise<StoredSnapshot> {
  const row = await findSnapshotRow(db, table.table_num, id);
  if (!row || row.published === null) throw notFound('snapshot', `${id} of table ${table.table_id}`);
  return row;
}

/** Returns a snapshot that has its files. @throws CodedError NOT_FOUND, FAILED_PRECONDITION if they cannot be read or were not ingested */
export async function getCapturedSnapshot(db: Db, table: Table, id: bigint | string): Promise<StoredSnapshot> {
  const row = await getSnapshotRow(db, table, id);
  if (row.complete === 1) return row;
  if (row.unreadable !== '') {
    throw new CodedError(
      'FAILED_PRECONDITION',
      `snapshot ${id} of table ${table.table_id} cannot be read upstream: ${row.unreadable}`,
    );
  }
  throw new CodedError(
    'FAILED_PRECONDITION',
    `snapshot ${id} of table ${table.table_id} has no files and statistics yet, since only its metadata was ingested: run a ` +
      'job that captures it, such as `reconciler connector trigger CONNECTOR --mode capture-only`',
  );
}

/**
 * Returns the requested snapshot with its files, or the current one if none is requested.
 *
 * @throws CodedError NOT_FOUND if it does not exist, FAILED_PRECONDITION if its files, or the current snapshot, were not ingested
 */
export async function snapshotToRead(db: Db, table: Table, id: bigint | undefined): Promise<StoredSnapshot> {
  if (id !== undefined) return getCapturedSnapshot(db, table, id);
  const current = table.current_snapshot_id;
  if (current === null) throw new CodedError('NOT_FOUND', `table ${table.table_id} has no current snapshot`);
  const row = await findSnapshotRow(db, table.table_num, current);
  if (row && row.published !== null) return getCapturedSnapshot(db, table, current);
  throw new CodedError(
    'FAILED_PRECONDITION',
    `snapshot ${current}, the current one of table ${table.table_id}, is not in the catalog, since no job has ingested it: ` +
      'request another snapshot, or run a job that ingests it, such as `reconciler connector trigger CONNECTOR --snapshots current`',
  );
}

/** The columns of a snapshot's row that come from its message. */
export function columnsOf(snapshot: Snapshot) {
  return {
    parent_snapshot_id: snapshot.parentSnapshotId?.toString() ?? null,
    sequence_number: Number(snapshot.sequenceNumber),
    committed_at: ms(snapshot.committedAt),
    operation: snapshot.operation,
    summary: JSON.stringify(snapshot.summary),
    schema_id: snapshot.schemaId ?? null,
    manifest_list: snapshot.manifestList,
    expired_at: null,
    first_row_id: snapshot.firstRowId?.toString() ?? null,
    added_rows: snapshot.addedRows?.toString() ?? null,
  };
}

/** Returns the base that a snapshot names; undefined if it names none. @throws CodedError FAILED_PRECONDITION if the base is not complete */
export async function findBase(db: Db, table: Table, snapshot: Snapshot): Promise<StoredSnapshot | undefined> {
  if (snapshot.baseSnapshotId === undefined) return undefined;
  const base = await findSnapshotRow(db, table.table_num, snapshot.baseSnapshotId);
  if (base?.complete === 1) return base;
  throw new CodedError(
    'FAILED_PRECONDITION',
    `snapshot ${snapshot.snapshotId} of table ${table.table_id} is based on ${snapshot.baseSnapshotId}, which ` +
      `${base ? 'is not complete' : 'does not exist'}: send the base first, or send all files without a base`,
  );
}

/** Names of the groups of changes that a staged snapshot has. */
export function stagedGroups({ staged_groups }: Pick<StoredSnapshot, 'staged_groups'>): string[] {
  return staged_groups === null ? [] : (JSON.parse(staged_groups) as string[]);
}

/** Stages a new snapshot. */
export async function insertSnapshot(
  db: Db,
  table: Table,
  snapshot: Snapshot,
  { base, stageKey, replacement }: { base?: StoredSnapshot; stageKey: string | null; replacement: boolean },
): Promise<StoredSnapshot> {
  const position = await newPosition(db, table.table_num, base && positionOf(base));
  const [row] = await insert(db, {
    table_num: table.table_num,
    ...newSnapshotColumns(snapshot, stageKey),
    base_snapshot_id: base?.snapshot_id ?? null,
    chain_num: position.chain,
    ord: position.ord,
    replacement: Number(replacement),
  });
  return row as StoredSnapshot;
}

/** The columns of a new snapshot that is staged, without a base, apart from those that other rows determine. */
export function newSnapshotColumns(snapshot: Snapshot, stageKey: string | null) {
  const now = Date.now();
  return {
    snapshot_id: snapshot.snapshotId.toString(),
    ...columnsOf(snapshot),
    base_snapshot_id: null,
    fetched_at: now,
    complete: 0,
    published: null,
    stage_key: stageKey,
    staged_groups: null,
    staged_at: now,
    totals: null,
    live_rows: null,
    ndv: null,
    put_columns_key: null,
    replacement: 0,
    unreadable: '',
  };
}

const insert = compiledWrite((db, row: Insertable<SnapshotRow>) =>
  db.insertInto('snapshots').values(row).returningAll(),
);

/** The size of a snapshot's row. */
export const SNAPSHOT_BYTES = bytesOf('summary', 'manifest_list', 'operation', 'unreadable');

/** Lists a page of at most `size` visible snapshots, in the order of `published`, after the one with `after` in it. */
export async function listSnapshotRows(
  db: Db,
  tableNum: number,
  size: number,
  { showExpired, newestFirst = false }: { showExpired: boolean; newestFirst?: boolean },
  after?: number,
): Promise<Page<StoredSnapshot>> {
  let query = db
    .selectFrom('snapshots')
    .where('table_num', '=', tableNum)
    .orderBy('published', newestFirst ? 'desc' : 'asc');
  if (!newestFirst) query = query.where('published', '>', after ?? 0);
  else if (after === undefined) query = query.where('published', 'is not', null);
  else query = query.where('published', '<', after);
  if (!showExpired) query = query.where('expired_at', 'is', null);
  return readPage(query.selectAll(), SNAPSHOT_BYTES, size);
}

/** Makes a snapshot visible, after all that already are, without its files. @returns its row */
export async function publishMetadata(db: Db, row: StoredSnapshot): Promise<StoredSnapshot> {
  if (row.published !== null) return row;
  const published = ((await lastPublished(db, row.table_num)) ?? 0) + 1;
  const columns = { published, staged_at: row.stage_key === null ? null : row.staged_at };
  await db.updateTable('snapshots').set(columns).where('snapshot_num', '=', row.snapshot_num).execute();
  return { ...row, ...columns };
}

/** Stores why the files of a snapshot that has none cannot be read. @returns its row */
export async function setUnreadable(db: Db, row: StoredSnapshot, unreadable: string): Promise<StoredSnapshot> {
  if (row.complete === 1 || row.unreadable === unreadable) return row;
  await db.updateTable('snapshots').set({ unreadable }).where('snapshot_num', '=', row.snapshot_num).execute();
  return { ...row, unreadable };
}

/** As in the index of these few rows. With `+`, no other index is used, which would read all snapshots of the table. */
export const IS_UNREADABLE = sql<boolean>`unreadable <> ''`;

/** Number of visible snapshots whose files cannot be read. */
export async function countUnreadable(db: Db, tableNum: number): Promise<number> {
  const { count } = await db
    .selectFrom('snapshots')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('table_num', '=', tableNum)
    .where(IS_UNREADABLE)
    .where(sql<boolean>`+published is not null`)
    .where('expired_at', 'is', null)
    .executeTakeFirstOrThrow();
  return count;
}

async function lastPublished(db: Db, tableNum: number): Promise<number | undefined> {
  const last = await db
    .selectFrom('snapshots')
    .select('published')
    .where('table_num', '=', tableNum)
    .where('published', 'is not', null)
    .orderBy('published', 'desc')
    .limit(1)
    .executeTakeFirst();
  return last?.published ?? undefined;
}

/** Marks visible snapshots as expired. @param now as the clock's `now`. @returns how many were not marked before */
export async function expireSnapshots(db: Db, tableNum: number, ids: readonly bigint[], now: number): Promise<number> {
  if (ids.length === 0) return 0;
  const { numUpdatedRows } = await db
    .updateTable('snapshots')
    .set({ expired_at: now })
    .where('table_num', '=', tableNum)
    .where('snapshot_id', 'in', [...new Set(ids.map(String))])
    .where('published', 'is not', null)
    .where('expired_at', 'is', null)
    .executeTakeFirst();
  return Number(numUpdatedRows);
}

/** Stores the idempotency key of the last finished stream of column statistics for a snapshot. */
export async function setPutColumnsKey(db: Db, snapshotNum: number, key: string): Promise<void> {
  await db.updateTable('snapshots').set({ put_columns_key: key }).where('snapshot_num', '=', snapshotNum).execute();
}

/** Stores the number of distinct rows that a caller reports for a snapshot. */
export async function setTableNdv(db: Db, snapshotNum: number, ndv: string): Promise<void> {
  await db.updateTable('snapshots').set({ ndv }).where('snapshot_num', '=', snapshotNum).execute();
}

/** Names of the branches and tags that point at each snapshot, by snapshot id. */
export function refsBySnapshot(table: Pick<Table, 'refs'>): Map<string, string[]> {
  const names = new Map<string, string[]>();
  for (const ref of JSON.parse(table.refs) as { name: string; snapshotId: string }[]) {
    const others = names.get(ref.snapshotId);
    if (others) others.push(ref.name);
    else names.set(ref.snapshotId, [ref.name]);
  }
  return names;
}

export function snapshotFromRow(row: StoredSnapshot, table: Table, refs = refsBySnapshot(table)): Snapshot {
  return {
    tableId: table.table_id,
    snapshotId: BigInt(row.snapshot_id),
    parentSnapshotId: row.parent_snapshot_id === null ? undefined : BigInt(row.parent_snapshot_id),
    sequenceNumber: BigInt(row.sequence_number),
    committedAt: date(row.committed_at),
    operation: row.operation,
    summary: jsonMap(row.summary),
    schemaId: row.schema_id ?? undefined,
    manifestList: row.manifest_list,
    refs: refs.get(row.snapshot_id) ?? [],
    current: table.current_snapshot_id === row.snapshot_id,
    fetchedAt: date(row.fetched_at),
    expiredAt: date(row.expired_at),
    baseSnapshotId: row.base_snapshot_id === null ? undefined : BigInt(row.base_snapshot_id),
    firstRowId: row.first_row_id === null ? undefined : BigInt(row.first_row_id),
    addedRows: row.added_rows === null ? undefined : BigInt(row.added_rows),
    columnStatsKey: row.put_columns_key ?? '',
    captured: row.complete === 1,
    unreadable: row.unreadable,
  };
}
