import { createHash, randomUUID } from 'node:crypto';
import { ClientError, Status } from 'nice-grpc';
import { keepAlive } from '../../catalog-client/keep-alive.ts';
import { NAME_MAPPING, parseNameMapping } from '../../formats/parquet/field-ids.ts';
import { sketchFile } from '../../formats/parquet/sketch-file.ts';
import type { ColumnNdv, ColumnSketch, SketchFile, TableReader } from '../../formats/table-reader.ts';
import type { FileSketches, ListFilesToSketchResponse_File } from '../../generated/reconciler/internal/v1/ingestion.ts';
import type { Snapshot } from '../../generated/reconciler/v1/snapshots.ts';
import type { PutColumnStatsRequest } from '../../generated/reconciler/v1/statistics.ts';
import { type LeafColumn, leafColumns } from '../../stats/leaf-columns.ts';
import type { NdvOptions } from '../../stats/statistics-options.ts';
import type { NdvPlan } from '../plan/table-plan.ts';
import type { ActivityDeps } from '../runtime/deps.ts';
import { inParallel } from '../runtime/in-parallel.ts';
import { unreadable } from './unreadable-file.ts';

export interface PutNdv extends NdvPlan {
  deps: Pick<ActivityDeps, 'catalog' | 'logger'>;
  reader: TableReader;
  tableId: string;
  /** What the catalog had of the snapshots before that have sketches upstream. */
  messages: ReadonlyMap<bigint, Snapshot>;
  /** Snapshots whose files are in by now: others have no statistics. */
  captured: ReadonlySet<bigint>;
  /** Try again to read files that could not be read before. */
  full: boolean;
  signal: AbortSignal;
  beat(): void;
  /** Whether to stop after a page of files. */
  isOver?(): boolean;
}

/** Files that are sketched in parallel: each takes up to 2 MiB of memory at a time, and its footer. */
const PARALLEL = 4;
/** Files per page and per put; fewer if they are wide, so that a put has at most about 2 MiB. */
const MAX_FILES_PER_PUT = 25;
const MAX_SKETCHES_PER_PUT = 500;

/**
 * Ingests the numbers of distinct values of a table whose snapshots are in: the upstream's own sketches (Puffin), and sketches of data files
 * if the connector asks for them. The catalog derives the numbers of every snapshot from the sketches of its files. Whatever cannot be read
 * is left out, with a warning in the log: the table is complete without it.
 *
 * @param from the page of data files at which an earlier slice stopped
 * @returns the page at which this slice stops; undefined if all is done
 */
export async function putNdv(put: PutNdv, from?: string): Promise<string | undefined> {
  await putUpstreamSketches(put);
  if (put.options === undefined || put.reader.openDataFile === undefined) return undefined;
  return sketchFiles(put, put.options, from);
}

/** A statistics file is valid only for the snapshot that it names. Files that cannot be read are logged together. */
async function putUpstreamSketches(put: PutNdv): Promise<void> {
  const { reader, messages, captured, signal, deps, columnsKey } = put;
  const { columnSketches } = reader;
  if (!reader.sketchFiles?.length || columnSketches === undefined) return;
  const ids = new Set(
    reader.descriptor.schemas
      .flatMap(({ json }) => leafColumns(json))
      .flatMap(({ id }) => (isSelected(put, id) ? [id] : [])),
  );
  const failures: { file: string; reason: string }[] = [];
  // Another path is another file; a file is never read again for the same columns.
  const keyOf = ({ path }: SketchFile) =>
    `sketches/${createHash('sha256')
      .update(path + columnsKey)
      .digest('hex')}`;
  const files = reader.sketchFiles.filter((file) => {
    const known = messages.get(file.snapshotId)?.columnStatsKey;
    const isDone = known === keyOf(file) || (known === fromMetadata(keyOf(file)) && !put.full);
    return captured.has(file.snapshotId) && !isDone;
  });
  await inParallel(files, PARALLEL, async (file) => {
    signal.throwIfAborted();
    const reason = await putSketchFile(put, file, keyOf(file), columnSketches.call(reader, file, ids), ids);
    if (reason !== undefined) failures.push({ file: file.path, reason });
    put.beat();
  });
  if (failures.length === 0) return;
  const { location } = reader.descriptor;
  deps.logger.warn(
    { location, failures: failures.length, first: failures[0] },
    'statistics files cannot be read: their snapshots have no sketches',
  );
}

/** The key that means that the numbers in the table's metadata are in: a full rescan tries to read the file again. */
const fromMetadata = (key: string) => `${key}/metadata`;

/** @returns why the file cannot be read; undefined if it was */
async function putSketchFile(
  put: PutNdv,
  file: SketchFile,
  key: string,
  all: AsyncIterable<ColumnSketch>,
  columnIds: ReadonlySet<number>,
): Promise<string | undefined> {
  const { deps, signal } = put;
  const { putColumnStats } = deps.catalog.statistics;
  let failure: unknown;
  const sketches = untilFailure(all, (error) => {
    failure = error;
  });
  try {
    // Nothing is sent of a file that cannot be read at all.
    const first = await sketches.next();
    if (!first.done) {
      // A broken file looks to the catalog like a complete one: the key that means 'done' is sent by itself once everything is in.
      const columns = requests(put, file, `${key}/${randomUUID()}`, startingWith(first.value, sketches));
      // The reader may wait for the upstream after the first column, and a column that is sent again changes nothing.
      await putColumnStats(
        keepAlive(columns, (last) => last),
        { signal },
      );
    }
    if (failure === undefined) {
      await putColumnStats(requests(put, file, key), { signal });
      return undefined;
    }
    const { reason } = unreadable(failure, signal);
    // The numbers in the table's metadata serve instead.
    const known = (file.ndv ?? []).filter(({ columnId }) => columnIds.has(columnId));
    if (known.length > 0) await putColumnStats(requests(put, file, fromMetadata(key), known), { signal });
    return reason;
  } catch (error) {
    // A failure of the catalog does not concern the file, unless the catalog refused the file's contents.
    if (!isRefused(error)) throw error;
    return String(error);
  } finally {
    // A reader that is left in the middle keeps its memory, for which others may wait.
    await sketches.return(undefined);
  }
}

/** The same sketches, up to an error of the reader: a stream that failed would be reset, which HTTP/2 servers bear a thousand times. */
async function* untilFailure(
  sketches: AsyncIterable<ColumnSketch>,
  failed: (error: unknown) => void,
): AsyncGenerator<ColumnSketch> {
  try {
    yield* sketches;
  } catch (error) {
    failed(error);
  }
}

async function* startingWith<T>(first: T, rest: AsyncIterable<T>): AsyncGenerator<T> {
  yield first;
  yield* rest;
}

async function* requests(
  { tableId }: PutNdv,
  { snapshotId }: SketchFile,
  idempotencyKey: string,
  sketches: AsyncIterable<ColumnSketch> | readonly ColumnNdv[] = [],
): AsyncGenerator<{ request: PutColumnStatsRequest['request'] }> {
  yield { request: { $case: 'header', value: { tableId, snapshotId, idempotencyKey } } };
  for await (const { columnId, exact, estimate, relativeError, sketch } of sketches as AsyncIterable<ColumnNdv>) {
    const ndv = {
      exact: exact === undefined ? undefined : BigInt(exact),
      estimate,
      relativeError,
      sketches: sketch ? [{ type: sketch.type, data: Buffer.from(sketch.data) }] : [],
    };
    yield { request: { $case: 'column', value: { columnId, columnName: '', logicalType: '', dropped: false, ndv } } };
  }
}

async function sketchFiles(put: PutNdv, options: NdvOptions, from = ''): Promise<string | undefined> {
  const { deps, reader, tableId, columnsKey, full, signal } = put;
  const columns = columnsToSketch(put);
  if (columns.length === 0) return undefined;
  const lastColumnId = reader.descriptor.schemas
    .flatMap(({ json }) => leafColumns(json))
    .reduce((last, { id }) => Math.max(last, id), 0);
  const pageSize = Math.max(1, Math.min(MAX_FILES_PER_PUT, Math.floor(MAX_SKETCHES_PER_PUT / columns.length)));
  let first: { file: string; reason: string } | undefined;
  let failures = 0;
  let isDenied = false;
  let pageToken = from;
  const sample = { sampleFraction: options.sampleFraction, maxFiles: BigInt(options.maxFiles), retryUnreadable: full };
  const list = (token: string) =>
    deps.catalog.ingestion.listFilesToSketch(
      { tableId, ...sample, columnsKey, pageSize, pageToken: token },
      { signal },
    );
  do {
    const page = await list(pageToken).catch((error) => {
      // The connector may ask for other files, or columns, than it did in the slice that stopped at this page.
      if (pageToken !== from || from === '' || !isRefused(error)) throw error;
      return list('');
    });
    const sketched: FileSketches[] = [];
    await inParallel(page.files, PARALLEL, async (file) => {
      if (isDenied) return;
      const { sketches, denied } = await sketchDataFile(put, file, columns, lastColumnId);
      isDenied ||= denied;
      if (sketches.unreadable !== '' && failures++ === 0) first = { file: file.filePath, reason: sketches.unreadable };
      // A file that this worker may not read is tried again in a later run.
      if (!denied) sketched.push(sketches);
    });
    if (sketched.length > 0) await deps.catalog.ingestion.putFileSketches({ tableId, files: sketched }, { signal });
    put.beat();
    pageToken = page.nextPageToken;
  } while (pageToken !== '' && !isDenied && !put.isOver?.());
  if (failures > 0) {
    const text = isDenied
      ? 'data files may not be read: the table has no estimates of distinct values'
      : 'data files cannot be read: estimates of distinct values leave them out';
    deps.logger.warn({ location: reader.descriptor.location, failures, first }, text);
  }
  return isDenied || pageToken === '' ? undefined : pageToken;
}

function columnsToSketch(put: PutNdv): LeafColumn[] {
  const { schemas, currentSchemaId } = put.reader.descriptor;
  const schema = schemas.find(({ id }) => id === currentSchemaId);
  return schema === undefined ? [] : leafColumns(schema.json).filter(({ id }) => isSelected(put, id));
}

/** Iceberg assigns no field ids below 0. Some writers begin with 0. */
function isSelected({ columnIds }: PutNdv, id: number): boolean {
  return id >= 0 && (columnIds === undefined || columnIds.has(id));
}

function isRefused(error: unknown): boolean {
  return error instanceof ClientError && error.code === Status.INVALID_ARGUMENT;
}

async function sketchDataFile(
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
