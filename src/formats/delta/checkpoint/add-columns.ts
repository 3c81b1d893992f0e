import { MalformedError } from '../../malformed.ts';
import type { ColumnCursor, ListCursor } from '../../parquet/column-cursor.ts';
import type { ColumnChunk } from '../../parquet/footer.ts';
import type { LeafColumn } from '../../parquet/leaf-column.ts';
import type { ParquetValue } from '../../parquet/plain-value.ts';
import type { AddAction, DeletionVectorDescriptor } from '../actions.ts';
import { deletionVector } from '../log/log-actions.ts';

/** Columns of `add` that are needed. The others are modification times, tags and the typed form of partition values. */
const SCALARS = ['path', 'size', 'stats', 'baseRowId', 'defaultRowCommitVersion'] as const;
const STATS_PARSED = 'stats_parsed';

type Tree = { [name: string]: ParquetValue | Tree };

/** Converts the columns of `add` in a row group to actions. */
export class AddColumns {
  readonly cursors: readonly (ColumnCursor | ListCursor)[];
  readonly #path: ColumnCursor;
  /** The scalar columns that the row group has, besides the path. */
  readonly #scalars: { name: Exclude<(typeof SCALARS)[number], 'path'>; cursor: ColumnCursor }[] = [];
  readonly #vector: { name: string; cursor: ColumnCursor }[] = [];
  readonly #keys?: ListCursor;
  readonly #values?: ListCursor;
  readonly #stats: { path: readonly string[]; cursor: ColumnCursor }[] = [];
  /** Definition level of the structure itself. */
  readonly #level: number;

  /**
   * The columns to read; undefined if the row group has no files. The statistics in JSON are complete and preferred; the structure is read as
   * well if files lack them (table property `delta.checkpoint.writeStatsAsJson`).
   *
   * @param columns the leaves below `add` that are not null everywhere
   */
  static select(
    columns: readonly LeafColumn[],
    chunkOf: (column: LeafColumn) => ColumnChunk,
  ): readonly LeafColumn[] | undefined {
    const scalar = (name: string) => columns.find(({ path }) => path.length === 2 && path[1] === name);
    const path = scalar('path');
    if (path === undefined) return undefined;
    const [paths, stats] = [chunkOf(path), scalar('stats')];
    const hasAllStats = stats !== undefined && paths.nulls !== undefined && chunkOf(stats).nulls === paths.nulls;
    return columns.filter(({ path: [, name = '', ...rest], repeatedLevel }) => {
      if (name === 'partitionValues' || name === 'deletionVector') return true;
      if (name === STATS_PARSED) return !hasAllStats && repeatedLevel === 0;
      return rest.length === 0 && (SCALARS as readonly string[]).includes(name);
    });
  }

  constructor(
    columns: readonly LeafColumn[],
    cursorOf: (column: LeafColumn, isList: boolean) => ColumnCursor | ListCursor,
  ) {
    const cursors: (ColumnCursor | ListCursor)[] = [];
    let path: ColumnCursor | undefined;
    let level = 0;
    for (const column of columns) {
      const [, name = '', ...rest] = column.path;
      const isList = name === 'partitionValues';
      const cursor = cursorOf(column, isList);
      cursors.push(cursor);
      if (isList) {
        if (rest.at(-1) === 'key') this.#keys = cursor as ListCursor;
        else this.#values = cursor as ListCursor;
      } else if (name === 'deletionVector') this.#vector.push({ name: rest[0] ?? '', cursor: cursor as ColumnCursor });
      else if (name === STATS_PARSED) this.#stats.push({ path: rest, cursor: cursor as ColumnCursor });
      else if (name === 'path') {
        path = cursor as ColumnCursor;
        level = column.leaf.maxDefinitionLevel - (column.leaf.repetition === 'REQUIRED' ? 0 : 1);
      } else this.#scalars.push({ name: name as 'size', cursor: cursor as ColumnCursor });
    }
    this.cursors = cursors;
    this.#path = path as ColumnCursor;
    this.#level = level;
  }

  /** Takes the next row; undefined if it is another action. @throws MalformedError */
  take(): AddAction | undefined {
    if (!this.#path.hasLevel(this.#level)) {
      for (const cursor of this.cursors) cursor.skip();
      return undefined;
    }
    const path = textOf(this.#path.take());
    if (path === undefined) throw new MalformedError('add.path is missing');
    const add: AddAction = { kind: 'add', path, partitionValues: this.#partitionValues(), size: -1 };
    for (const { name, cursor } of this.#scalars) {
      const value = cursor.take();
      if (value === undefined) continue;
      if (name === 'stats') {
        const text = textOf(value);
        if (text !== '') add.stats = text;
      } else add[name] = integerOf(value, name);
    }
    if (add.size < 0) throw new MalformedError('add.size is missing');
    const vector = this.#takeVector();
    if (vector) add.deletionVector = vector;
    const stats = this.#takeStats();
    if (stats && add.stats === undefined) add.statsParsed = stats;
    return add;
  }

  #partitionValues(): Record<string, string | null> {
    const keys = this.#keys?.take() ?? [];
    const values = this.#values?.take() ?? [];
    const map: Record<string, string | null> = {};
    if (values.length !== 0 && values.length !== keys.length) {
      throw new MalformedError(`add.partitionValues has ${keys.length} keys and ${values.length} values`);
    }
    for (let index = 0; index < keys.length; index++) {
      map[textOf(keys[index]) ?? ''] = textOf(values[index]) ?? null;
    }
    return map;
  }

  #takeVector(): DeletionVectorDescriptor | undefined {
    let fields: Record<string, unknown> | undefined;
    for (const { name, cursor } of this.#vector) {
      const value = cursor.take();
      if (value === undefined) continue;
      fields ??= {};
      fields[name] = typeof value === 'bigint' ? Number(value) : value instanceof Uint8Array ? textOf(value) : value;
    }
    return fields && deletionVector(fields);
  }

  #takeStats(): Tree | undefined {
    let tree: Tree | undefined;
    for (const { path, cursor } of this.#stats) {
      const value = cursor.take();
      if (value === undefined) continue;
      tree ??= Object.create(null) as Tree;
      let node = tree;
      for (let depth = 0; depth < path.length - 1; depth++) {
        const name = path[depth] as string;
        node[name] ??= Object.create(null) as Tree;
        node = node[name] as Tree;
      }
      node[path.at(-1) as string] = value;
    }
    return tree;
  }
}

function textOf(value: ParquetValue | undefined): string | undefined {
  if (typeof value === 'string' || value === undefined) return value;
  return value instanceof Uint8Array ? Buffer.from(value).toString('utf8') : String(value);
}

function integerOf(value: ParquetValue, name: string): number {
  const number = Number(value);
  if (!(number >= 0))
    throw new MalformedError(`add.${name} should be an integer from 0 on but is ${String(value).slice(0, 50)}`);
  if (!Number.isSafeInteger(number))
    throw new MalformedError(`add.${name} should be an integer from 0 on and below 2^53 but is ${number}`);
  return number;
}
