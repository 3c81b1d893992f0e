import { setImmediate } from 'node:timers/promises';
import { z } from 'zod';
import type {
  ColumnStats,
  PutColumnStatsRequest,
  PutColumnStatsResponse,
  TableStatisticsServiceImplementation,
} from '../../generated/reconciler/v1/statistics.ts';
import type { ServiceDeps } from '../core/ports.ts';
import { selectedIds } from '../reading/file-messages.ts';
import { MalformedRequest } from '../rpc/definitions.ts';
import { PageTokens, pageSize } from '../rpc/page-token.ts';
import { Checks, checkIds, invalid } from '../rpc/violations.ts';
import { cutPage } from '../store/database/page-cut.ts';
import { write } from '../store/database/transaction.ts';
import { getCapturedSnapshot, setPutColumnsKey, snapshotToRead } from '../store/snapshots/snapshots.ts';
import {
  columnIds,
  columnMessage,
  columnSizes,
  putColumns,
  putColumnsOf,
} from '../store/statistics/column-messages.ts';
import { columnState } from '../store/statistics/column-stats.ts';
import { derivedNdv } from '../store/statistics/derived-ndv.ts';
import { snapshotSchemas } from '../store/tables/table-schemas.ts';
import { getTableRow, getTableRowToWrite } from '../store/tables/tables.ts';

const tokens = new PageTokens('ListColumnStats', z.object({ snapshot: z.string(), column: z.int() }));

/** The RPCs of the service TableStatistics for columns. */
export function createColumnRpcs({
  db,
}: ServiceDeps): Pick<TableStatisticsServiceImplementation, 'listColumnStats' | 'putColumnStats'> {
  return {
    async listColumnStats(request) {
      checkIds({ table_id: request.tableId });
      const size = pageSize(request.pageSize);
      const filter = [request.tableId, request.snapshotId, request.columns];
      const after = tokens.decode(request.pageToken, filter);
      const table = await getTableRow(db, request.tableId);
      const row = after
        ? await getCapturedSnapshot(db, table, after.snapshot)
        : await snapshotToRead(db, table, request.snapshotId);
      const schemas = await snapshotSchemas(db, table.table_num, row.schema_id, table.schema_id);
      const selected = selectedIds(schemas, request.columns);
      const state = await columnState(db, row, schemas);
      const ids = columnIds(state, schemas)
        .filter((id) => (!selected || selected.has(id)) && id > (after?.column ?? -1))
        .slice(0, size + 1);
      const { count, more } = cutPage(await columnSizes(db, row.snapshot_num, ids, state, schemas), size);
      const items = ids.slice(0, count);
      const last = more ? items.at(-1) : undefined;
      const put = await putColumnsOf(db, row.snapshot_num, items);
      const withoutNdv = items.filter((id) => put.get(id)?.ndv === undefined);
      const ndv = await derivedNdv(db, row, schemas, withoutNdv);
      return {
        columns: items.map((id) => columnMessage(id, state, schemas, put.get(id), ndv.get(id))),
        nextPageToken: last === undefined ? '' : tokens.encode({ snapshot: row.snapshot_id, column: last }, filter),
      };
    },

    async putColumnStats(requests, { signal }) {
      let target: { snapshotNum: number; key: string } | undefined;
      let count = 0;
      for await (const request of requests) {
        if (request instanceof MalformedRequest) throw invalid('request', `is malformed: ${request.reason}`);
        const { request: part } = request;
        if (part?.$case === 'header') {
          if (target) throw invalid('header', 'was sent twice: a stream is for one snapshot');
          target = await open(part.value);
          if (target.key === '') return toResponse(0);
        } else if (part?.$case === 'column') {
          if (!target) throw invalid('header', 'must be sent before the first column');
          const { snapshotNum } = target;
          checkColumn(part.value);
          await write(db, (trx) => putColumns(trx, snapshotNum, [part.value]));
          count += 1;
        } else {
          throw invalid('request', 'is required: a header or a column');
        }
      }
      if (!target) throw invalid('header', 'is required');
      // A stream that the client cancels looks like one that has ended. Its key must not be recorded as complete.
      await setImmediate();
      signal.throwIfAborted();
      const { snapshotNum, key } = target;
      await write(db, (trx) => setPutColumnsKey(trx, snapshotNum, key));
      return toResponse(count);
    },
  };

  /** Returns an empty `key` if a stream with the same key has been stored, so that there is nothing to do. */
  async function open(header: Extract<NonNullable<PutColumnStatsRequest['request']>, { $case: 'header' }>['value']) {
    const checks = new Checks();
    checks.id(header.tableId, 'header.table_id');
    checks.text(header.idempotencyKey, 'header.idempotency_key', { min: 1, max: 512 });
    checks.done();
    const table = await getTableRowToWrite(db, header.tableId);
    const row = await getCapturedSnapshot(db, table, header.snapshotId);
    const done = row.put_columns_key === header.idempotencyKey;
    return { snapshotNum: row.snapshot_num, key: done ? '' : header.idempotencyKey };
  }
}

function toResponse(count: number): PutColumnStatsResponse {
  return { columnsPut: BigInt(count) };
}

function checkColumn(column: ColumnStats): void {
  const checks = new Checks();
  checks.that(column.columnId >= 0, 'column.column_id', 'is below 0');
  for (const field of ['valueCount', 'nullCount', 'nanCount', 'sizeInBytes'] as const) {
    const value = column[field];
    if (value !== undefined) checks.count(value, `column.${field.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`)}`);
  }
  const { ndv } = column;
  if (ndv?.exact !== undefined) checks.count(ndv.exact, 'column.ndv.exact');
  if (ndv?.estimate !== undefined)
    checks.that(ndv.estimate >= 0, 'column.ndv.estimate', 'is not a number of at least 0');
  if (ndv?.relativeError !== undefined)
    checks.that(ndv.relativeError >= 0, 'column.ndv.relative_error', 'is not a number of at least 0');
  for (const [index, sketch] of (ndv?.sketches ?? []).entries()) {
    checks.text(sketch.type, `column.ndv.sketches[${index}].type`, { min: 1, max: 200 });
  }
  checks.done();
}
