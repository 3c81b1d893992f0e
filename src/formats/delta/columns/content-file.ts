import { CodedError } from '../../../errors.ts';
import { NO_COLUMNS } from '../../columns/packed-columns.ts';
import type { ContentFile } from '../../table-reader.ts';
import type { AddAction, DeletionVectorDescriptor } from '../actions.ts';
import { inlineVectorPath } from '../files/file-paths.ts';
import { columnMetrics } from './column-metrics.ts';
import type { DeltaSchema } from './delta-schema.ts';
import { FileStats } from './file-stats.ts';
import { type LeafPlan, leafPlan } from './leaf-plan.ts';
import { type FilePartition, PartitionReader } from './partition-reader.ts';
import { readParsedStats } from './stats-parsed.ts';
import { StatsText } from './stats-text.ts';
import { decodeZ85 } from './z85.ts';

/** A vector's length before it and its CRC-32 after it (Delta protocol, "Deletion Vector File Storage Format"). */
const VECTOR_FRAME_BYTES = 8;

const stats = new FileStats();
const statsText = new StatsText();
/** How the files of a schema are read: prepared once. */
const prepared = new WeakMap<DeltaSchema, Prepared>();

interface Prepared {
  partition: PartitionReader;
  plan?: LeafPlan;
  /** One plan per selection of columns. */
  plans: WeakMap<ReadonlySet<number>, LeafPlan>;
}

/**
 * Converts an add to its data file. Statistics that cannot be read are left out, as Spark does: a file without statistics is complete otherwise.
 *
 * @param path decoded absolute path
 * @param schema of the version whose add it is
 * @param columnIds restricts the column metrics
 * @throws CodedError `DATA_LOSS` if a partition value is none of its column's type
 */
export function dataFile(
  add: AddAction,
  path: string,
  schema: DeltaSchema,
  columnIds?: ReadonlySet<number>,
): ContentFile {
  const reading = readingOf(schema, columnIds);
  const { plan } = reading;
  const partition = reading.partition.read(add, path);
  if (add.stats !== undefined) statsText.read(add.stats, plan, stats);
  else if (add.statsParsed !== undefined) readParsedStats(add.statsParsed, plan, stats);
  else stats.start(plan.leaves.length);
  return dataFileOf({ path, size: add.size, baseRowId: add.baseRowId, partition, stats }, schema, plan);
}

/** The data file of an add whose parts were read. */
export function dataFileOf(
  {
    path,
    size,
    baseRowId,
    partition,
    stats,
  }: { path: string; size: number; baseRowId?: number; partition: readonly FilePartition[]; stats: FileStats },
  schema: DeltaSchema,
  plan: LeafPlan,
): ContentFile {
  return {
    path,
    content: 'DATA',
    format: 'PARQUET',
    recordCount: stats.numRecords,
    fileSizeInBytes: size,
    specId: schema.spec.specId,
    partition: valuesOf(partition),
    columns: columnMetrics(stats, plan, partition),
    schemaId: schema.id,
    firstRowId: baseRowId,
  };
}

/** How the adds of a schema are read. @param columnIds restricts the column metrics */
export function readingOf(
  schema: DeltaSchema,
  columnIds?: ReadonlySet<number>,
): { partition: PartitionReader; plan: LeafPlan } {
  const reading = preparedFor(schema);
  return { partition: reading.partition, plan: planFor(reading, schema, columnIds) };
}

/**
 * The deletion vector of an add that has one, as a delete file of its own.
 *
 * @param dataPath decoded absolute path of the data file
 * @param vectorPath decoded absolute path of the vector's file; absent for an inline vector
 * @throws CodedError `DATA_LOSS` if an inline vector is broken
 */
export function vectorFile(add: AddAction, dataPath: string, schema: DeltaSchema, vectorPath?: string): ContentFile {
  const vector = add.deletionVector as DeletionVectorDescriptor;
  const isInline = vectorPath === undefined;
  return {
    path: vectorPath ?? inlineVectorPath(dataPath, vector),
    content: 'POSITION_DELETES',
    format: 'DELTA_DV',
    recordCount: vector.cardinality,
    // The log has no size of the file, which may contain the vectors of many data files.
    fileSizeInBytes: isInline ? vector.sizeInBytes : vector.sizeInBytes + VECTOR_FRAME_BYTES,
    specId: schema.spec.specId,
    partition: valuesOf(preparedFor(schema).partition.read(add, dataPath)),
    columns: NO_COLUMNS,
    referencedDataFile: dataPath,
    ...(isInline
      ? { inlineContent: inlineContent(vector, dataPath) }
      : {
          ...(vector.offset !== undefined && { contentOffset: vector.offset }),
          contentSizeInBytes: vector.sizeInBytes + VECTOR_FRAME_BYTES,
        }),
  };
}

const valuesOf = (partition: readonly FilePartition[]) => partition.map(({ value }) => value);

function inlineContent({ pathOrInlineDv, sizeInBytes }: DeletionVectorDescriptor, dataPath: string): Uint8Array {
  const bytes = decodeZ85(pathOrInlineDv);
  // The text ends with up to three bytes that fill a word.
  if (bytes === undefined || bytes.length - sizeInBytes < 0 || bytes.length - sizeInBytes > 3) {
    throw new CodedError(
      'DATA_LOSS',
      `the inline deletion vector of file ${dataPath} is broken: it should have ${sizeInBytes} bytes in Z85 but ` +
        `${bytes === undefined ? 'is not Z85' : `has ${bytes.length}`}. Restore the table to a version without it.`,
    );
  }
  return bytes.subarray(0, sizeInBytes);
}

function preparedFor(schema: DeltaSchema): Prepared {
  let found = prepared.get(schema);
  if (found === undefined) {
    found = { partition: new PartitionReader(schema), plans: new WeakMap() };
    prepared.set(schema, found);
  }
  return found;
}

function planFor(reading: Prepared, schema: DeltaSchema, columnIds: ReadonlySet<number> | undefined): LeafPlan {
  if (columnIds === undefined) {
    reading.plan ??= leafPlan(schema);
    return reading.plan;
  }
  let plan = reading.plans.get(columnIds);
  if (plan === undefined) {
    plan = leafPlan(schema, columnIds);
    reading.plans.set(columnIds, plan);
  }
  return plan;
}
