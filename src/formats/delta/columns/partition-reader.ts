import { CodedError } from '../../../errors.ts';
import { widened, widestType } from '../../../stats/partition-value.ts';
import { truncate } from '../../../text.ts';
import type { PartitionValue } from '../../table-reader.ts';
import type { AddAction } from '../actions.ts';
import type { DeltaSchema } from './delta-schema.ts';
import { partitionBytes } from './partition-text.ts';

/** What tables that were converted from Hive's have for null. */
const HIVE_NULL = '__HIVE_DEFAULT_PARTITION__';
/** Values that are kept per column, because most files share theirs with others. */
const MAX_CACHED = 1_000;
const MAX_CACHED_LENGTH = 200;

/** A partition column's value in a file, and what follows from it for the statistics of the column. */
export interface FilePartition {
  value: PartitionValue;
  /** The single value of the column in its own type, which is both bounds; absent for null, NaN, and floats, whose later type gives another value. */
  bound?: Uint8Array;
  /** Absent if readers differ in what the value is. */
  isNull?: boolean;
}

/** Reads the partition values of files. */
export class PartitionReader {
  readonly #fields: { field: PartitionValue; physicalName: string; type: string; cache: Map<string, FilePartition> }[];

  constructor({ spec, partitionColumns }: DeltaSchema) {
    this.#fields = spec.fields.map(({ fieldId, name }, index) => {
      const { physicalName, type = '' } = partitionColumns[index] as (typeof partitionColumns)[number];
      // The catalog shows values in the type that their column has later.
      return { field: { fieldId, name, type: widestType(type) }, physicalName, type, cache: new Map() };
    });
  }

  /** @param path of the data file, for messages; @throws CodedError `DATA_LOSS` if a value is none of its column's type */
  read({ partitionValues }: Pick<AddAction, 'partitionValues'>, path: string): FilePartition[] {
    return this.#fields.map((column) => {
      const { field, physicalName, type, cache } = column;
      const text = Object.hasOwn(partitionValues, physicalName) ? partitionValues[physicalName] : undefined;
      if (text === null || text === undefined || (text === '' && type !== 'string'))
        return { value: field, isNull: true };
      // As Spark and Kernel read it; the protocol's text makes it null.
      if (text === '') return { value: { ...field, value: Buffer.alloc(0) } };
      if (text === HIVE_NULL) return { value: field };
      let known = cache.get(text);
      if (known === undefined) {
        known = partitionOf(field, type, text);
        if (known === undefined) throw unreadable(path, field.name, type, text);
        if (cache.size >= MAX_CACHED) cache.clear();
        if (text.length <= MAX_CACHED_LENGTH) cache.set(text, known);
      }
      return known;
    });
  }
}

function partitionOf(field: PartitionValue, type: string, text: string): FilePartition | undefined {
  // If a float column is widened, engines read the text as a double, which is not the double of the float: 0.1 stays 0.1.
  const isFloat = type === 'float';
  const bytes = partitionBytes(isFloat ? 'double' : type, text);
  if (bytes === undefined) return undefined;
  const value = { ...field, value: isFloat ? bytes : widened({ type, value: bytes }) };
  return { value, isNull: false, ...(!isFloat && !isNaNBytes(type, bytes) && { bound: bytes }) };
}

function isNaNBytes(type: string, bytes: Buffer): boolean {
  return type === 'double' && Number.isNaN(bytes.readDoubleLE());
}

function unreadable(path: string, name: string, type: string, text: string): CodedError {
  return new CodedError(
    'DATA_LOSS',
    `file ${path} has the partition value ${JSON.stringify(truncate(text, 100))} in column ${JSON.stringify(name)}, ` +
      `which is no ${type}. Write the file's partition again, or restore the table to a version without it.`,
  );
}
