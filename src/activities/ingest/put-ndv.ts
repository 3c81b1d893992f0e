import { createHash } from 'node:crypto';
import { NAME_MAPPING, parseNameMapping } from '../../connectors/parquet/field-ids.ts';
import { sketchFile } from '../../connectors/parquet/sketch-file.ts';
import type { ColumnSketch, SketchFile, TableReader } from '../../connectors/spi.ts';
import type { Snapshot } from '../../generated/reconciler/v1/snapshots.ts';
import type {
  FileSketches,
  ListFilesToSketchResponse_File,
  PutColumnStatsRequest,
} from '../../generated/reconciler/v1/statistics.ts';
import { type LeafColumn, leafColumns } from '../../stats/leaf-columns.ts';
import type { NdvOptions } from '../../stats/statistics-options.ts';
import type { ActivityDeps } from '../deps.ts';
import { inParallel } from '../in-parallel.ts';
import { unreadable } from './unreadable-file.ts';

export interface PutNdv {
  deps: Pick<ActivityDeps, 'catalog' | 'logger'>;
  reader: TableReader;
  tableId: string;
  /** Absent: no data file is read. */
  options?: NdvOptions;
  /** What the catalog had of the table's snapshots before. */
  known: ReadonlyMap<bigint, Snapshot>;
  columnIds?: ReadonlySet<number>;
  /** Files that could not be read are tried again. */
  full: boolean;
  signal: AbortSignal;
  beat(): void;
}

/** Files that are sketched side by side: each takes up to 2 MiB at a time, and its end. */
const PARALLEL = 4;
/** Files of a page, and of a put; fewer where they are wide, so that a put has about 2 MiB at most. */
const FILES_A_PUT = 25;
const SKETCHES_A_PUT = 500;

/** Whether there is anything for `putNdv` to do. */
export function hasNdv({ reader, options }: PutNdv): boolean {
  return (reader.sketchFiles ?? []).length > 0 || (options !== undefined && reader.openDataFile !== undefined);
}

/**
 * Brings the numbers of distinct values of a table whose snapshots are in: what the upstream itself keeps of them (Puffin), and
 * sketches of data files where the connector asks for that. The catalog derives those of every snapshot from the sketches of
 * its files. Whatever cannot be read is left out, with a warning in the log: the table is whole without it.
 */
export async function putNdv(put: PutNdv): Promise<void> {
  await putUpstreamSketches(put);
  if (put.options !== undefined && put.reader.openDataFile !== undefined) await sketchFiles(put, put.options);
}

/** A statistics file is for just the snapshot that it names: other snapshots have none from it. */
async function putUpstreamSketches(put: PutNdv): Promise<void> {
  const { reader, known, signal, deps } = put;
  for (const file of reader.sketchFiles ?? []) {
    signal.throwIfAborted();
    // Another path is another file; one with the same is never read again.
    const key = `sketches/${createHash('sha256').update(file.path).digest('hex')}`;
    if (known.get(file.snapshotId)?.columnStatsKey === key) continue;
    let sketches: ColumnSketch[];
    try {
      sketches = await readSketches(put, file);
    } catch (error) {
      const { reason } = unreadable(error, signal);
      deps.logger.warn({ file: file.path, reason }, 'a statistics file cannot be read: its snapshot lacks sketches');
      continue;
    }
    await deps.catalog.statistics.putColumnStats(requests(put, file, key, sketches), { signal });
    put.beat();
  }
}

/** Some tens of KiB a column. */
async function readSketches({ reader, columnIds }: PutNdv, file: SketchFile): Promise<ColumnSketch[]> {
  const sketches: ColumnSketch[] = [];
  for await (const sketch of reader.columnSketches?.(file) ?? []) {
    if (!columnIds || columnIds.has(sketch.columnId)) sketches.push(sketch);
  }
  return sketches;
}

async function* requests(
  { tableId }: PutNdv,
  { snapshotId }: SketchFile,
  idempotencyKey: string,
  sketches: readonly ColumnSketch[],
): AsyncGenerator<{ request: PutColumnStatsRequest['request'] }> {
  yield { request: { $case: 'header', value: { tableId, snapshotId, idempotencyKey } } };
  for (const { columnId, exact, estimate, relativeError, sketch } of sketches) {
    const ndv = {
      exact: exact === undefined ? undefined : BigInt(exact),
      estimate,
      relativeError,
      sketches: [{ type: sketch.type, data: Buffer.from(sketch.data) }],
    };
    yield { request: { $case: 'column', value: { columnId, columnName: '', logicalType: '', dropped: false, ndv } } };
  }
}

async function sketchFiles(put: PutNdv, options: NdvOptions): Promise<void> {
  const { deps, reader, tableId, full, signal } = put;
  const columns = columnsToSketch(put);
  if (columns.length === 0) return;
  const lastColumnId = reader.descriptor.schemas
    .flatMap(({ json }) => leafColumns(json))
    .reduce((most, { id }) => Math.max(most, id), 0);
  const pageSize = Math.max(1, Math.min(FILES_A_PUT, Math.floor(SKETCHES_A_PUT / columns.length)));
  let first: { file: string; reason: string } | undefined;
  let failures = 0;
  let isDenied = false;
  let pageToken = '';
  do {
    const page = await deps.catalog.statistics.listFilesToSketch(
      {
        tableId,
        sampleFraction: options.sampleFraction,
        maxFiles: BigInt(options.maxFiles),
        retryUnreadable: full,
        pageSize,
        pageToken,
      },
      { signal },
    );
    const sketched: FileSketches[] = [];
    await inParallel(page.files, PARALLEL, async (file) => {
      if (isDenied) return;
      const { sketches, denied } = await sketchOne(put, file, columns, lastColumnId);
      isDenied ||= denied;
      if (sketches.unreadable !== '' && failures++ === 0) first = { file: file.filePath, reason: sketches.unreadable };
      // What a worker may not read says nothing of the file: it is tried again.
      if (!denied) sketched.push(sketches);
    });
    if (sketched.length > 0) await deps.catalog.statistics.putFileSketches({ tableId, files: sketched }, { signal });
    put.beat();
    pageToken = page.nextPageToken;
  } while (pageToken !== '' && !isDenied);
  if (failures > 0) {
    const text = isDenied
      ? 'data files may not be read: the table has no estimates of distinct values'
      : 'data files cannot be read: estimates of distinct values are without them';
    deps.logger.warn({ table: reader.descriptor.location, failures, first }, text);
  }
}

function columnsToSketch({ reader: { descriptor }, columnIds }: PutNdv): LeafColumn[] {
  const schema = descriptor.schemas.find(({ id }) => id === descriptor.currentSchemaId);
  const columns = schema === undefined ? [] : leafColumns(schema.json);
  return columnIds ? columns.filter(({ id }) => columnIds.has(id)) : columns;
}

async function sketchOne(
  { reader, signal, beat }: PutNdv,
  { filePath, fileSizeInBytes }: ListFilesToSketchResponse_File,
  columns: readonly LeafColumn[],
  lastColumnId: number,
): Promise<{ sketches: FileSketches; denied: boolean }> {
  const sketches: FileSketches = { filePath, columns: [], lastColumnId, unreadable: '' };
  try {
    const bytes = reader.openDataFile?.(filePath, Number(fileSizeInBytes));
    if (bytes === undefined) return { sketches, denied: false };
    const progress = () => {
      signal.throwIfAborted();
      beat();
    };
    const mapping = parseNameMapping(reader.descriptor.properties[NAME_MAPPING]);
    for (const { columnId, type, theta, estimate, isComplete } of await sketchFile(bytes, columns, mapping, progress)) {
      sketches.columns.push({ columnId, logicalType: type, theta: Buffer.from(theta), estimate, complete: isComplete });
    }
    return { sketches, denied: false };
  } catch (error) {
    const { reason, isDenied } = unreadable(error, signal);
    return { sketches: { ...sketches, unreadable: reason.slice(0, 1000) || 'unknown' }, denied: isDenied };
  }
}
