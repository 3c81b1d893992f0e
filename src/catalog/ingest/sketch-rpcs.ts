import type { FileSketches, IngestionServiceImplementation } from '../../generated/reconciler/internal/v1/ingestion.ts';
import { decodeCompactTheta } from '../../stats/ndv/compact-theta.ts';
import type { ServiceDeps } from '../core/ports.ts';
import { PageTokens, pageSize } from '../rpc/page-token.ts';
import { Checks } from '../rpc/violations.ts';
import { write } from '../store/database/transaction.ts';
import { nextFilesToSketch, putFileSketches, sketchCursor } from '../store/statistics/sketch-sampling.ts';
import { getTableRow, getTableRowToWrite } from '../store/tables/tables.ts';

const tokens = new PageTokens('ListFilesToSketch', sketchCursor);
const MAX_FILES = 1_000_000;
const MAX_PUT = 1000;
/** A sketch of 4,096 hashes, the most that engines keep, has 32 KiB. */
const MAX_SKETCH_BYTES = 64 * 1024;
const MAX_REASON = 2000;
const MAX_KEY = 200;

/** The RPCs of Ingestion by which workers sketch files. */
export function createSketchRpcs({
  db,
}: ServiceDeps): Pick<IngestionServiceImplementation, 'listFilesToSketch' | 'putFileSketches'> {
  return {
    async listFilesToSketch(request) {
      const { tableId, sampleFraction: fraction, retryUnreadable, columnsKey } = request;
      const maxFiles = Number(request.maxFiles);
      const checks = new Checks();
      checks.id(tableId, 'table_id');
      checks.that(fraction > 0 && fraction <= 1, 'sample_fraction', `${fraction} is not above 0 and at most 1`);
      checks.that(maxFiles >= 0 && maxFiles <= MAX_FILES, 'max_files', `is not within 0 and ${MAX_FILES}`);
      checks.text(columnsKey, 'columns_key', { max: MAX_KEY });
      checks.done();
      const size = pageSize(request.pageSize);
      const filter = [tableId, fraction, maxFiles, retryUnreadable, columnsKey];
      const after = tokens.decode(request.pageToken, filter);
      const table = await getTableRow(db, tableId);
      const sample = { fraction, maxFiles, retryUnreadable, columnsKey };
      const { files, next } = await nextFilesToSketch(db, table, sample, size, after);
      return { files, nextPageToken: next ? tokens.encode(next, filter) : '' };
    },

    async putFileSketches({ tableId, files }) {
      const checks = new Checks();
      checks.id(tableId, 'table_id');
      checks.list(files, 'files', MAX_PUT);
      for (const [index, file] of files.slice(0, MAX_PUT).entries()) checkFile(checks, file, `files[${index}]`);
      checks.done();
      const count = await write(db, async (trx) => putFileSketches(trx, await getTableRowToWrite(trx, tableId), files));
      return { filesPut: BigInt(count) };
    },
  };
}

function checkFile(checks: Checks, file: FileSketches, at: string): void {
  const { filePath, columns, lastColumnId, unreadable, columnsKey } = file;
  checks.that(filePath !== '', `${at}.file_path`, 'is required');
  checks.text(unreadable, `${at}.unreadable`, { max: MAX_REASON });
  checks.text(columnsKey, `${at}.columns_key`, { max: MAX_KEY });
  checks.that(lastColumnId >= 0, `${at}.last_column_id`, 'is below 0');
  for (const [index, { columnId, logicalType, theta, estimate }] of columns.entries()) {
    const column = `${at}.columns[${index}]`;
    checks.that(columnId >= 0, `${column}.column_id`, 'is below 0');
    checks.text(logicalType, `${column}.logical_type`, { min: 1, max: 200 });
    checks.that(estimate >= 0 && Number.isFinite(estimate), `${column}.estimate`, 'is not a number from 0');
    const isSketch = theta.length <= MAX_SKETCH_BYTES && decodeCompactTheta(theta) !== undefined;
    checks.that(isSketch, `${column}.theta`, 'is no compact theta sketch of at most 64 KiB');
  }
}
