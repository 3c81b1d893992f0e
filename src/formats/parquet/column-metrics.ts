import { compareBounds } from '../../stats/bounds.ts';
import { primitiveType } from '../../stats/primitive-type.ts';
import type { ColumnMetrics } from '../columns/packed-columns.ts';
import { fieldIds, type MappedField } from './field-ids.ts';
import type { ColumnChunk, ParquetFooter, SchemaNode } from './footer.ts';
import { truncateLower, truncateUpper } from './truncate-bounds.ts';
import { valueBytes } from './value-bytes.ts';

/** The table's definition of its columns. */
export interface TableColumns {
  /** Iceberg type by field id. */
  types: ReadonlyMap<number, string>;
  nameMapping?: MappedField[];
}

/**
 * The column metrics in a Parquet footer, sorted by field id. A metric that one row group lacks is absent for the whole file. Footers contain
 * no NaN counts.
 */
export function footerMetrics(footer: ParquetFooter, { types, nameMapping }: TableColumns): ColumnMetrics[] {
  const columns: ColumnMetrics[] = [];
  const ids = fieldIds(footer, nameMapping);
  for (const [index, leaf] of footer.leaves.entries()) {
    const id = ids[index];
    if (id === undefined) continue;
    const chunks = footer.rowGroups.map((group) => group.chunks[index] as ColumnChunk);
    if (chunks.some(({ values }) => values < 0)) continue;
    columns.push(chunkMetrics(id, types.get(id), leaf, chunks));
  }
  return columns.sort((a, b) => a.id - b.id);
}

function chunkMetrics(id: number, type: string | undefined, leaf: SchemaNode, chunks: ColumnChunk[]): ColumnMetrics {
  const sum = (valueOfChunk: (chunk: ColumnChunk) => number) =>
    chunks.reduce((total, chunk) => total + valueOfChunk(chunk), 0);
  const metrics: ColumnMetrics = {
    id,
    sizeInBytes: sum((chunk) => chunk.compressedBytes),
    valueCount: sum((chunk) => chunk.values),
  };
  if (chunks.every(({ nulls }) => nulls !== undefined)) metrics.nullCount = sum((chunk) => chunk.nulls as number);
  const convert = type === undefined ? undefined : valueBytes(type, leaf);
  if (type === undefined || convert === undefined) return metrics;
  // A row group that contains only nulls has no bounds.
  const bounded = chunks.filter(({ nulls, values }) => values > 0 && nulls !== values);
  const lower = extreme(type, bounded, ({ min }) => min && dropNaN(type, convert(min)), -1);
  const upper = extreme(type, bounded, ({ max }) => max && dropNaN(type, convert(max)), 1);
  if (lower !== undefined) metrics.lower = truncateLower(type, lower);
  if (upper !== undefined) metrics.upper = truncateUpper(type, upper);
  return metrics;
}

/** The smallest or largest bound; undefined unless every chunk has one. */
function extreme(
  type: string,
  chunks: readonly ColumnChunk[],
  boundOf: (chunk: ColumnChunk) => Uint8Array | undefined,
  sign: 1 | -1,
): Uint8Array | undefined {
  let found: Uint8Array | undefined;
  for (const chunk of chunks) {
    const bound = boundOf(chunk);
    if (bound === undefined) return undefined;
    if (found === undefined || compareBounds(type, bound, found) * sign > 0) found = bound;
  }
  return found;
}

/** Drops a bound that is NaN, because it is meaningless (parquet.thrift, `ColumnOrder`). Zeros keep the sign that the writer stored. */
function dropNaN(type: string, bound: Uint8Array | undefined): Uint8Array | undefined {
  const kind = primitiveType(type)?.kind;
  if (bound === undefined || (kind !== 'float' && kind !== 'double')) return bound;
  const bytes = Buffer.from(bound.buffer, bound.byteOffset, bound.byteLength);
  return Number.isNaN(kind === 'float' ? bytes.readFloatLE() : bytes.readDoubleLE()) ? undefined : bound;
}
