import type { ReservedMemory } from '../../../storage/memory-budget.ts';
import { MalformedError } from '../../malformed.ts';
import { Turns } from '../../paced.ts';
import { ColumnCursor, ListCursor } from '../../parquet/column-cursor.ts';
import { type ColumnChunk, type ParquetFooter, readFooter } from '../../parquet/footer.ts';
import { type LeafColumn, leafColumns } from '../../parquet/leaf-column.ts';
import type { ParquetValue } from '../../parquet/plain-value.ts';
import type { DataFileBytes } from '../../table-reader.ts';
import type { AddAction } from '../actions.ts';
import type { SmallActions } from '../log/commit.ts';
import { domainAction, metadataAction, protocolAction, sidecarAction } from '../log/log-actions.ts';
import { AddColumns } from './add-columns.ts';

/** Smaller files are read with one request. */
const WHOLE_BYTES = 4 * 1024 * 1024;
/** Footers of checkpoints with statistics of a hundred columns have about as much per row group. */
const END_BYTES = 256 * 1024;
/** What the columns that are read in step may hold together, besides one page each. */
const WINDOW_BYTES = 32 * 1024 * 1024;
const MIN_WINDOW_BYTES = 64 * 1024;
const MAX_WINDOW_BYTES = 4 * 1024 * 1024;
/** Rows that become actions at once. */
const BATCH_ROWS = 1024;

/** Actions that are not about files. */
const SMALL_ACTIONS = ['metaData', 'protocol', 'domainMetadata', 'sidecar'] as const;
type SmallAction = (typeof SMALL_ACTIONS)[number];

/**
 * A Parquet file of a checkpoint: a classic or V2 checkpoint, a part or a sidecar (Delta protocol, "Checkpoints"). Only the columns that are needed are
 * read, page by page, so that memory does not grow with the number of rows. Missing columns count as null.
 */
export class ParquetCheckpoint implements Disposable {
  readonly #footer: ParquetFooter;
  readonly #file: DataFileBytes;
  readonly #memory?: ReservedMemory;

  private constructor(footer: ParquetFooter, file: DataFileBytes, memory?: ReservedMemory) {
    this.#footer = footer;
    this.#file = file;
    this.#memory = memory;
  }

  /** @throws CodedError as `readFooter` */
  static async open(file: DataFileBytes): Promise<ParquetCheckpoint> {
    const read = await readFooter(file, file.byteLength <= WHOLE_BYTES ? file.byteLength : END_BYTES);
    return new ParquetCheckpoint(read.footer, read.file, read.memory);
  }

  [Symbol.dispose](): void {
    this.#memory?.[Symbol.dispose]();
  }

  get groups(): number {
    return this.#footer.rowGroups.length;
  }

  /** Number of files in a row group, and of those with a deletion vector. Undefined if the footer does not say. */
  counts(group: number): { files: number; vectors: number } | undefined {
    const present = (path: readonly string[]) => {
      const [column] = leafColumns(this.#footer, path);
      const chunk = column && this.#chunk(group, column);
      return chunk === undefined ? 0 : chunk.nulls === undefined ? undefined : Math.max(0, chunk.values - chunk.nulls);
    };
    const [files, vectors] = [present(['add', 'path']), present(['add', 'deletionVector', 'storageType'])];
    return files === undefined || vectors === undefined ? undefined : { files, vectors };
  }

  /** Adds the actions that are not about files. @throws CodedError, MalformedError if the file is broken */
  async readSmallActions(found: SmallActions): Promise<void> {
    for (let group = 0; group < this.groups; group++) {
      for (const action of SMALL_ACTIONS) {
        const columns = leafColumns(this.#footer, [action]).filter((column) => this.#mayHaveValues(group, column));
        if (columns.length > 0) await this.#readSmallAction(found, action, group, columns);
      }
    }
  }

  /** The files of a row group. Tombstones (`remove`) are no files of the table. @throws CodedError, MalformedError if the file is broken */
  async *adds(group: number): AsyncGenerator<AddAction[]> {
    const columns = leafColumns(this.#footer, ['add']).filter((column) => this.#mayHaveValues(group, column));
    const used = AddColumns.select(columns, (column) => this.#chunk(group, column));
    if (used === undefined) return;
    const windowBytes = windowFor(used.length);
    const add = new AddColumns(used, (column, isList) => this.#cursor(group, column, isList, windowBytes));
    for await (const rows of this.#batches(group, add.cursors)) {
      const adds: AddAction[] = [];
      for (let row = 0; row < rows; row++) {
        const action = add.take();
        if (action !== undefined) adds.push(action);
      }
      if (adds.length > 0) yield adds;
    }
  }

  async #readSmallAction(
    found: SmallActions,
    action: SmallAction,
    group: number,
    columns: readonly LeafColumn[],
  ): Promise<void> {
    const windowBytes = windowFor(columns.length);
    const fields = columns.map((column) => ({
      path: column.path.slice(1),
      cursor: this.#cursor(group, column, column.repeatedLevel > 0, windowBytes),
    }));
    for await (const rows of this.#batches(
      group,
      fields.map(({ cursor }) => cursor),
    )) {
      for (let row = 0; row < rows; row++) {
        const values = fields.map(({ path, cursor }) => ({ path, value: cursor.take() }));
        if (values.every(({ value }) => value === undefined || (Array.isArray(value) && value.length === 0))) continue;
        takeSmallAction(found, action, values);
      }
    }
  }

  /** Loads the next rows of all cursors, and yields their number. */
  async *#batches(group: number, cursors: readonly (ColumnCursor | ListCursor)[]): AsyncGenerator<number> {
    const turns = new Turns();
    for (let left = this.#footer.rowGroups[group]?.rows ?? 0; left > 0; ) {
      let rows = Math.min(left, BATCH_ROWS);
      for (const cursor of cursors) {
        if (cursor.ready === 0) await cursor.load();
        if (cursor.ready < rows) rows = cursor.ready;
      }
      yield rows;
      left -= rows;
      if (turns.isOver) await turns.next();
    }
  }

  #cursor(group: number, column: LeafColumn, isList: boolean, windowBytes: number): ColumnCursor | ListCursor {
    const chunk = this.#chunk(group, column);
    return new (isList ? ListCursor : ColumnCursor)(this.#file, column, chunk, windowBytes);
  }

  #chunk(group: number, { index }: LeafColumn): ColumnChunk {
    return this.#footer.rowGroups[group]?.chunks[index] as ColumnChunk;
  }

  #mayHaveValues(group: number, column: LeafColumn): boolean {
    const { values, nulls } = this.#chunk(group, column);
    return nulls === undefined || nulls < values;
  }
}

function windowFor(columns: number): number {
  return Math.max(MIN_WINDOW_BYTES, Math.min(MAX_WINDOW_BYTES, Math.floor(WINDOW_BYTES / columns)));
}

type Taken = { path: readonly string[]; value: ParquetValue | undefined | (ParquetValue | undefined)[] };

function takeSmallAction(found: SmallActions, action: SmallAction, values: readonly Taken[]): void {
  const fields: Record<string, unknown> = {};
  for (const { path, value } of values) {
    const [name = '', inner = ''] = path;
    if (!Array.isArray(value)) {
      if (value === undefined) continue;
      // The only structure in them is the format's.
      if (path.length > 1) fields[name] = { ...(fields[name] as object | undefined), [inner]: jsonValue(value) };
      else fields[name] = jsonValue(value);
    } else if (path.at(-1) === 'key') fields[name] = value;
    else if (path.at(-1) === 'value' && fields[name] !== undefined)
      fields[name] = mapOf(fields[name] as unknown[], value);
    else if (value.length > 0) fields[name] = value.map(jsonValue);
  }
  if (action === 'metaData') found.metadata = metadataAction(withMap(fields, 'configuration'));
  else if (action === 'protocol') found.protocol = protocolAction(fields);
  else if (action === 'domainMetadata') found.domains.push(domainAction(fields));
  else found.sidecars.push(sidecarAction(fields));
}

/** The entries of a map. */
export function mapOf(keys: readonly unknown[], values: readonly unknown[]): Record<string, string | null> {
  const map: Record<string, string | null> = {};
  if (keys.length !== values.length)
    throw new MalformedError(`a map has ${keys.length} keys and ${values.length} values`);
  for (let index = 0; index < keys.length; index++) {
    map[String(jsonValue(keys[index]))] = (jsonValue(values[index]) ?? null) as string | null;
  }
  return map;
}

/** Keys without values: an empty map, or one whose values are all null. */
function withMap(fields: Record<string, unknown>, name: string): Record<string, unknown> {
  return Array.isArray(fields[name]) ? { ...fields, [name]: {} } : fields;
}

/** As the value would be in JSON. */
function jsonValue(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  return value instanceof Uint8Array ? Buffer.from(value).toString('utf8') : value;
}
