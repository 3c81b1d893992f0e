import { createHash, randomUUID } from 'node:crypto';
import { ClientError, Status } from 'nice-grpc';
import { NAME_MAPPING, parseNameMapping } from '../../formats/parquet/field-ids.ts';
import { sketchFile } from '../../formats/parquet/sketch-file.ts';
import type { ColumnSketch, SketchFile, TableReader } from '../../formats/table-reader.ts';
import type { FileSketches, ListFilesToSketchResponse_File } from '../../generated/reconciler/internal/v1/ingestion.ts';
import type { Snapshot } from '../../generated/reconciler/v1/snapshots.ts';
import type { PutColumnStatsRequest } from '../../generated/reconciler/v1/statistics.ts';
import { type LeafColumn, leafColumns } from '../../stats/leaf-columns.ts';
import type { NdvOptions } from '../../stats/statistics-options.ts';
import type { ActivityDeps } from '../runtime/deps.ts';
import { inParallel } from '../runtime/in-parallel.ts';
import { unreadable } from './unreadable-file.ts';

export interface PutNdv {
  deps: Pick<ActivityDeps, 'catalog' | 'logger'>;
  reader: TableReader;
  tableId: string;
  /** Absent: no data file is read. */
  options?: NdvOptions;
  /** What the catalog had of the table's snapshots before. */
  known: ReadonlyMap<bigint, Snapshot>;
  /** Snapshots whose files are in by now: others have no statistics. */
  captured: ReadonlySet<bigint>;
  /**
   * Those of the connector; undefined for all. A run's own scope does not narrow them: a file is sketched once, and what it lacks would be
   * missing for good.
   */
  columnIds?: ReadonlySet<number>;
  /** Says which `columnIds` are: what was sketched under another key is sketched again. */
  columnsKey: string;
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
  const { reader, known, captured, signal, deps, columnsKey } = put;
  if (!reader.sketchFiles?.length || reader.columnSketches === undefined) return;
  const ids = new Set(
    reader.descriptor.schemas
      .flatMap(({ json }) => leafColumns(json))
      .flatMap(({ id }) => (isTaken(put, id) ? [id] : [])),
  );
  for (const file of reader.sketchFiles) {
    signal.throwIfAborted();
    if (!captured.has(file.snapshotId)) continue;
    // Another path is another file; one with the same is never read again for the same columns.
    const key = `sketches/${createHash('sha256')
      .update(file.path + columnsKey)
      .digest('hex')}`;
    if (known.get(file.snapshotId)?.columnStatsKey === key) continue;
    let failure: unknown;
    const sketches = readSketches(reader.columnSketches(file, ids), (error) => {
      failure = error;
    });
    try {
      // To the catalog a stream that breaks off looks like one that ends: the key that says 'done' goes in by itself, when all is in.
      await deps.catalog.statistics.putColumnStats(requests(put, file, `${key}/${randomUUID()}`, sketches), { signal });
      await deps.catalog.statistics.putColumnStats(requests(put, file, key), { signal });
    } catch (error) {
      // The catalog's own failure says nothing of the file, unless it is what it was sent.
      if (failure === undefined && !isRefused(error)) throw error;
      const { reason } = failure === undefined ? { reason: String(error) } : unreadable(failure, signal);
      deps.logger.warn({ file: file.path, reason }, 'a statistics file cannot be read: its snapshot lacks sketches');
    }
    put.beat();
  }
}

/** The same, and tells which error was the reader's own: the call that sends them may end with another. */
async function* readSketches(
  sketches: AsyncIterable<ColumnSketch>,
  failed: (error: unknown) => void,
): AsyncGenerator<ColumnSketch> {
  try {
    yield* sketches;
  } catch (error) {
    failed(error);
    throw error;
  }
}

async function* requests(
  { tableId }: PutNdv,
  { snapshotId }: SketchFile,
  idempotencyKey: string,
  sketches: AsyncIterable<ColumnSketch> | [] = [],
): AsyncGenerator<{ request: PutColumnStatsRequest['request'] }> {
  yield { request: { $case: 'header', value: { tableId, snapshotId, idempotencyKey } } };
  for await (const { columnId, exact, estimate, relativeError, sketch } of sketches) {
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
  const { deps, reader, tableId, columnsKey, full, signal } = put;
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
    const page = await deps.catalog.ingestion.listFilesToSketch(
      {
        tableId,
        sampleFraction: options.sampleFraction,
        maxFiles: BigInt(options.maxFiles),
        retryUnreadable: full,
        columnsKey,
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
    if (sketched.length > 0) await deps.catalog.ingestion.putFileSketches({ tableId, files: sketched }, { signal });
    put.beat();
    pageToken = page.nextPageToken;
  } while (pageToken !== '' && !isDenied);
  if (failures > 0) {
    const text = isDenied
      ? 'data files may not be read: the table has no estimates of distinct values'
      : 'data files cannot be read: estimates of distinct values are without them';
    deps.logger.warn({ location: reader.descriptor.location, failures, first }, text);
  }
}

function columnsToSketch(put: PutNdv): LeafColumn[] {
  const { schemas, currentSchemaId } = put.reader.descriptor;
  const schema = schemas.find(({ id }) => id === currentSchemaId);
  return schema === undefined ? [] : leafColumns(schema.json).filter(({ id }) => isTaken(put, id));
}

/** The catalog has no field ids below 1, which Iceberg does not give out either. */
function isTaken({ columnIds }: PutNdv, id: number): boolean {
  return id > 0 && (columnIds === undefined || columnIds.has(id));
}

function isRefused(error: unknown): boolean {
  return error instanceof ClientError && error.code === Status.INVALID_ARGUMENT;
}

async function sketchOne(
  { reader, columnsKey, signal, beat }: PutNdv,
  { filePath, fileSizeInBytes }: ListFilesToSketchResponse_File,
  columns: readonly LeafColumn[],
  lastColumnId: number,
): Promise<{ sketches: FileSketches; denied: boolean }> {
  const sketches: FileSketches = { filePath, columns: [], lastColumnId, unreadable: '', columnsKey };
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
