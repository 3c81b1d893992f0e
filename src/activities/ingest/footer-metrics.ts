import type { Logger } from 'pino';
import { packColumns } from '../../formats/columns/pack-columns.ts';
import { NO_COLUMNS, type PackedColumns } from '../../formats/columns/packed-columns.ts';
import { footerMetrics, type TableColumns } from '../../formats/parquet/column-metrics.ts';
import { NAME_MAPPING, parseNameMapping } from '../../formats/parquet/field-ids.ts';
import { readFooter } from '../../formats/parquet/footer.ts';
import type { ContentFile, FileChange, FileChangeBatch, TableReader } from '../../formats/table-reader.ts';
import { leafColumns } from '../../stats/leaf-columns.ts';
import { footersEnabled } from '../../stats/statistics-options.ts';
import { inParallel } from '../runtime/in-parallel.ts';
import { unreadable } from './unreadable-file.ts';

/** Footers that are read in parallel: each may take 16 MiB of memory, and usually takes 64 KiB. */
const PARALLEL = 8;
/** Changes per batch, so that progress is reported every few seconds. */
const BATCH = 200;

/**
 * The same reader, which reads the column metrics of Parquet data files without metrics from their footers, if the connector has
 * `stats.footers.enabled`. Each footer is read once, when the file is ingested; a full run reads them again.
 *
 * A file whose footer cannot be read stays without metrics, with a warning in the log.
 */
export function withFooterMetrics(
  reader: TableReader,
  properties: Readonly<Record<string, string>>,
  logger: Logger,
): TableReader {
  if (!footersEnabled(properties) || reader.openDataFile === undefined) return reader;
  const footers = new Footers(reader, logger);
  return {
    descriptor: reader.descriptor,
    get bytesRead() {
      return reader.bytesRead;
    },
    history: () => reader.history(),
    snapshots: (ids) => reader.snapshots(ids),
    fileChanges: (snapshotId, options = {}) => footers.fill(reader.fileChanges(snapshotId, options), options),
    changeRanges: reader.changeRanges?.bind(reader),
    liveFileCounts: (snapshotId) => reader.liveFileCounts(snapshotId),
    sketchFiles: reader.sketchFiles,
    columnSketches: reader.columnSketches?.bind(reader),
    openDataFile: reader.openDataFile.bind(reader),
    [Symbol.asyncDispose]: () => reader[Symbol.asyncDispose](),
  };
}

class Footers {
  readonly #reader: TableReader;
  readonly #logger: Logger;
  readonly #columns: TableColumns;
  #hasFailed = false;
  /** This worker may not read data files: trying each of them would change nothing. */
  #isDenied = false;

  constructor(reader: TableReader, logger: Logger) {
    this.#reader = reader;
    this.#logger = logger;
    const { schemas, currentSchemaId, properties } = reader.descriptor;
    // The current schema comes last, so that its types prevail.
    const ordered = [...schemas].sort((a, b) => Number(a.id === currentSchemaId) - Number(b.id === currentSchemaId));
    this.#columns = {
      types: new Map(ordered.flatMap(({ json }) => leafColumns(json).map(({ id, type }) => [id, type] as const))),
      nameMapping: parseNameMapping(properties[NAME_MAPPING]),
    };
  }

  async *fill(
    batches: AsyncIterable<FileChangeBatch>,
    { columnIds, signal = NEVER }: { columnIds?: ReadonlySet<number>; signal?: AbortSignal },
  ): AsyncGenerator<FileChangeBatch> {
    for await (const { changes, position } of batches) {
      const lacking = changes.flatMap((change) => (lacksMetrics(change) ? [change.file] : []));
      if (lacking.length === 0) {
        yield { changes, position };
        continue;
      }
      for (let from = 0; from < changes.length; from += BATCH) {
        const part = changes.slice(from, from + BATCH);
        const files = part.flatMap((change) => (lacksMetrics(change) ? [change.file] : []));
        await inParallel(files, PARALLEL, async (file) => {
          file.columns = await this.#metrics(file, columnIds, signal);
        });
        // A reader can resume only after all changes of its batch.
        yield from + BATCH < changes.length ? { changes: part } : { changes: part, position };
      }
    }
  }

  async #metrics(
    file: ContentFile,
    columnIds: ReadonlySet<number> | undefined,
    signal: AbortSignal,
  ): Promise<PackedColumns> {
    if (this.#isDenied) return NO_COLUMNS;
    signal.throwIfAborted();
    try {
      const bytes = this.#reader.openDataFile?.(file.path, file.fileSizeInBytes);
      if (bytes === undefined) return NO_COLUMNS;
      const { footer, memory } = await readFooter(bytes, Math.min(END_BYTES, bytes.byteLength));
      using _ = memory;
      const metrics = footerMetrics(footer, this.#columns);
      return packColumns(columnIds ? metrics.filter(({ id }) => columnIds.has(id)) : metrics);
    } catch (error) {
      const { reason, isDenied } = unreadable(error, signal);
      this.#isDenied ||= isDenied;
      if (!this.#hasFailed) {
        this.#hasFailed = true;
        const text = 'the footer of a data file cannot be read: files like this one have no column metrics';
        this.#logger.warn({ location: this.#reader.descriptor.location, file: file.path, reason }, text);
      }
      return NO_COLUMNS;
    }
  }
}

const END_BYTES = 64 * 1024;
const NEVER = new AbortController().signal;

function lacksMetrics(change: FileChange): change is Extract<FileChange, { kind: 'added' }> {
  return (
    change.kind === 'added' &&
    change.file.content === 'DATA' &&
    change.file.format === 'PARQUET' &&
    change.file.columns.length === 0
  );
}
