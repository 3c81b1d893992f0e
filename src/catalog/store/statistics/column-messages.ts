import type { Kysely } from 'kysely';
import { ColumnStats, type Ndv } from '../../../generated/reconciler/v1/statistics.ts';
import { boundText, promoteBound } from '../../../stats/bounds.ts';
import type { LeafColumn } from '../../../stats/leaf-columns.ts';
import { METADATA_COLUMNS } from '../../../stats/metadata-columns.ts';
import { maxDistinct } from '../../../stats/ndv/max-distinct.ts';
import { bytesOf } from '../database/page-cut.ts';
import type { Schema } from '../database/schema.ts';
import type { SnapshotSchemas } from '../tables/table-schemas.ts';
import type { ColumnState, ColumnTotals } from './column-state.ts';

type Db = Kysely<Schema>;

/**
 * Ids of a snapshot's columns, in ascending order: the leaves of its schema, and columns that its live files still have and
 * another schema of the table defines.
 */
export function columnIds(state: ColumnState, schemas: SnapshotSchemas): number[] {
  const ids = new Set(schemas.columns.map((column) => column.id));
  for (const id of state.columns.keys()) if (schemas.find(id)) ids.add(id);
  return [...ids].sort((a, b) => a - b);
}

/** Statistics of one column. Values that a caller stored take precedence over those that are derived from files. */
export function columnMessage(
  id: number,
  state: ColumnState,
  schemas: SnapshotSchemas,
  put: ColumnStats | undefined,
  ndv?: Ndv,
): ColumnStats {
  const column = schemas.find(id) as LeafColumn;
  const message: ColumnStats = {
    columnId: id,
    columnName: column.name,
    logicalType: column.type,
    dropped: !schemas.columns.includes(column) && !METADATA_COLUMNS.has(id),
    ...derived(state, column),
  };
  message.ndv = ndv && atMost(ndv, maxDistinct(column.type, message));
  if (!put) return message;
  message.valueCount = put.valueCount ?? message.valueCount;
  message.nullCount = put.nullCount ?? message.nullCount;
  message.nanCount = put.nanCount ?? message.nanCount;
  message.sizeInBytes = put.sizeInBytes ?? message.sizeInBytes;
  message.ndv = put.ndv ?? message.ndv;
  if (put.lowerBound) Object.assign(message, lower(column.type, put.lowerBound));
  if (put.upperBound) Object.assign(message, upper(column.type, put.upperBound));
  return message;
}

function derived(state: ColumnState, { id, type }: LeafColumn): Partial<ColumnStats> {
  // Without files every count is exactly 0. NaNs are counted for floating-point types only, as in the engines.
  if (state.files === 0) {
    const nanCount = type === 'float' || type === 'double' ? 0n : undefined;
    return { valueCount: 0n, nullCount: 0n, nanCount, sizeInBytes: 0n };
  }
  const column: ColumnTotals | undefined = state.columns.get(id);
  return {
    valueCount: state.sum(column, 'values'),
    nullCount: state.sum(column, 'nulls'),
    nanCount: state.sum(column, 'nans'),
    sizeInBytes: state.sum(column, 'size'),
    ...lower(type, state.bound(column, 'lower')),
    ...upper(type, state.bound(column, 'upper')),
  };
}

function lower(type: string, bound: Uint8Array | undefined) {
  const min = bound && boundText(type, bound);
  return bound === undefined || min === undefined ? {} : { min, lowerBound: Buffer.from(promoteBound(type, bound)) };
}

function upper(type: string, bound: Uint8Array | undefined) {
  const max = bound && boundText(type, bound);
  return bound === undefined || max === undefined ? {} : { max, upperBound: Buffer.from(promoteBound(type, bound)) };
}

/** Limits the estimate to the largest possible number of distinct values. */
function atMost(ndv: Ndv, max: number | undefined): Ndv {
  return ndv.estimate === undefined || max === undefined ? ndv : { ...ndv, estimate: Math.min(ndv.estimate, max) };
}

/** The statistics that callers stored for these columns of a snapshot, by column id. */
export async function putColumnsOf(
  db: Db,
  snapshotNum: number,
  ids: readonly number[],
): Promise<Map<number, ColumnStats>> {
  if (ids.length === 0) return new Map();
  const rows = await db
    .selectFrom('put_columns')
    .select(['column_id', 'body'])
    .where('snapshot_num', '=', snapshotNum)
    .where('column_id', 'in', ids)
    .execute();
  return new Map(rows.map((row) => [row.column_id, ColumnStats.decode(row.body)]));
}

/** The approximate sizes of the columns' messages, in the order of the ids. */
export async function columnSizes(
  db: Db,
  snapshotNum: number,
  ids: readonly number[],
  state: ColumnState,
  schemas: SnapshotSchemas,
): Promise<{ bytes: number }[]> {
  if (ids.length === 0) return [];
  const rows = await db
    .selectFrom('put_columns')
    .select(['column_id', bytesOf('body').as('bytes')])
    .where('snapshot_num', '=', snapshotNum)
    .where('column_id', 'in', ids)
    .execute();
  const stored = new Map(rows.map((row) => [row.column_id, row.bytes]));
  return ids.map((id) => {
    const { lower, upper } = state.columns.get(id) ?? {};
    // Each bound has a text.
    const bounds = 2 * ((lower?.length ?? 0) + (upper?.length ?? 0));
    return { bytes: (stored.get(id) ?? 0) + bounds + (schemas.find(id)?.name.length ?? 0) };
  });
}

/** Stores statistics of columns. They replace those that were stored before for the same columns. */
export async function putColumns(db: Db, snapshotNum: number, columns: readonly ColumnStats[]): Promise<void> {
  for (const column of columns) {
    const body = ColumnStats.encode(column).finish();
    await db
      .insertInto('put_columns')
      .values({ snapshot_num: snapshotNum, column_id: column.columnId, body })
      .onConflict((conflict) => conflict.columns(['snapshot_num', 'column_id']).doUpdateSet({ body }))
      .execute();
  }
}
