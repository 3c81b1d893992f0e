import { promoteBound } from '../../../stats/bounds.ts';
import { leafColumns } from '../../../stats/leaf-columns.ts';
import { widened, widestType } from '../../../stats/partition-value.ts';
import { primitiveType } from '../../../stats/primitive-type.ts';
import { hasTypeOfColumn, transformResultType } from '../../../stats/transform-result-type.ts';
import type { AvroCursor } from '../../avro/cursor.ts';
import { optional, type Read, recordReader, wrongKind } from '../../avro/readers.ts';
import { type Annotations, type AvroType, withoutNull } from '../../avro/schema.ts';
import { MalformedError } from '../../malformed.ts';
import type { PartitionSpec, PartitionValue } from '../../table-reader.ts';
import type { TableMetadata } from '../table-metadata.ts';

/** Types of every column that the table has or had. The current schema takes precedence, because types can be widened. */
export function columnTypes({ schemas, currentSchemaId }: TableMetadata): Map<number, string> {
  const newestFirst = [...schemas].reverse().sort((a, b) => {
    return Number(b.id === currentSchemaId) - Number(a.id === currentSchemaId);
  });
  const types = new Map<number, string>();
  for (const schema of newestFirst) {
    for (const { id, type } of leafColumns(schema.json)) if (!types.has(id)) types.set(id, type);
  }
  return types;
}

/** Ids of the specs that have a field of a column that the current schema does not have. */
export function lossySpecs({ schemas, currentSchemaId, partitionSpecs }: TableMetadata): Set<number> {
  const current = schemas.find(({ id }) => id === currentSchemaId);
  const columns = new Set(current && leafColumns(current.json).map(({ id }) => id));
  const isLossy = ({ fields }: PartitionSpec) =>
    fields.some(({ transform, sourceIds: [source = -1] }) => transform !== 'void' && !columns.has(source));
  return new Set(partitionSpecs.filter(isLossy).map(({ specId }) => specId));
}

/**
 * Returns a reader of a manifest's partition tuples as single-value serializations, in the widest type that their column can get. Fields are
 * found by id; those that the manifest lacks are null.
 *
 * @param fixedHasLength whether values of type `fixed` are preceded by their length, as in Iceberg Java's partitions, contrary to the
 *   manifest's own Avro schema
 */
export function partitionReader(
  type: AvroType,
  spec: PartitionSpec,
  types: ReadonlyMap<number, string>,
  fixedHasLength = false,
): Read<PartitionValue[]> {
  const fields = spec.fields.map(({ fieldId, name, transform, sourceIds }) => {
    const columnType = transformResultType(transform, types.get(sourceIds[0] ?? -1));
    // The catalog shows the values in the type of their column, if there is one.
    const type = columnType && hasTypeOfColumn(transform) ? widestType(columnType) : columnType;
    return { fieldId, name, columnType, type };
  });
  const values: (Uint8Array | undefined)[] = [];
  const table = fields.map((field, index) => ({
    id: field.fieldId,
    names: [field.name],
    reader: (avro: AvroType) => {
      const type = field.columnType ?? typeOfAvro(withoutNull(avro).type);
      field.type ??= type;
      const isSame = field.type === type;
      const read = optional(avro, (inner) => {
        const read = singleValueReader(inner, type, fixedHasLength);
        return isSame ? read : (cursor) => widened({ type, value: read(cursor) });
      });
      return (cursor: AvroCursor) => {
        values[index] = read(cursor);
      };
    },
  }));
  const readRecord = recordReader(type, table, []);
  return (cursor) => {
    values.length = 0;
    readRecord(cursor, undefined);
    return fields.map(({ fieldId, name, type: resultType = 'unknown' }, index) => {
      const value = values[index];
      return value === undefined ? { fieldId, name, type: resultType } : { fieldId, name, type: resultType, value };
    });
  };
}

/** Returns a reader of Avro values (spec, appendix A, "Avro") as single-value serializations of a type (appendix D). */
function singleValueReader(avro: AvroType, type: string, fixedHasLength: boolean): Read<Uint8Array> {
  const kind = primitiveType(type)?.kind;
  switch (avro.kind) {
    case 'boolean':
      return (cursor) => Uint8Array.of(cursor.readBoolean() ? 1 : 0);
    case 'int':
    case 'long':
      return kind === 'int' || kind === 'date' || (avro.kind === 'int' && kind !== 'long')
        ? (cursor) => promoteBound(type, int32(cursor))
        : int64;
    case 'float':
      return (cursor) => promoteBound(type, cursor.take(4));
    case 'double':
      return (cursor) => cursor.take(8);
    case 'string':
      // Avro's logical type uuid is a string; Iceberg stores a fixed.
      return kind === 'uuid' ? uuid : (cursor) => cursor.readBytes();
    case 'bytes':
      return (cursor) => promoteBound(type, cursor.readBytes());
    case 'fixed':
      if (fixedHasLength && kind === 'fixed') return (cursor) => withLength(cursor, avro.size);
      // Decimals are padded with sign bytes, but the serialization has the fewest bytes.
      return (cursor) => promoteBound(type, cursor.take(avro.size));
    default:
      throw wrongKind(avro, ['a primitive type']);
  }
}

function withLength(cursor: AvroCursor, length: number): Uint8Array {
  const bytes = cursor.readBytes();
  if (bytes.length === length) return bytes;
  throw new MalformedError(`a partition value of type fixed[${length}] has ${bytes.length} bytes`);
}

function int32(cursor: AvroCursor): Uint8Array {
  const value = cursor.readLong();
  if (value !== (value | 0)) throw new MalformedError(`a partition value is ${value}, which exceeds 32 bits`);
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeInt32LE(value);
  return bytes;
}

function int64(cursor: AvroCursor): Uint8Array {
  cursor.readLongParts();
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeInt32LE(cursor.low, 0);
  bytes.writeInt32LE(cursor.high, 4);
  return bytes;
}

function uuid(cursor: AvroCursor): Uint8Array {
  const text = cursor.readString();
  const bytes = Buffer.from(text.replaceAll('-', ''), 'hex');
  if (bytes.length !== 16)
    throw new MalformedError(`a partition value is not a UUID: ${JSON.stringify(text.slice(0, 50))}`);
  return bytes;
}

const ICEBERG_TYPES = new Map([
  ...(['boolean', 'int', 'long', 'float', 'double', 'string', 'date', 'uuid'] as const).map(
    (same) => [same, same] as const,
  ),
  ['bytes', 'binary'],
  ['time-micros', 'time'],
  ['timestamp-micros', 'timestamp'],
  ['timestamp-nanos', 'timestamp_ns'],
]);

/** The Iceberg type of an Avro type (spec, appendix A, "Avro"), for values whose type is not known otherwise. */
function typeOfAvro(avro: AvroType): string {
  const { logicalType = '', precision, scale, 'adjust-to-utc': hasZone } = avro as Annotations;
  if (logicalType === 'decimal') return `decimal(${precision}, ${scale ?? 0})`;
  const logical = ICEBERG_TYPES.get(logicalType);
  if (logical) return hasZone === true ? logical.replace('timestamp', 'timestamptz') : logical;
  return avro.kind === 'fixed' ? `fixed[${avro.size}]` : (ICEBERG_TYPES.get(avro.kind) ?? 'unknown');
}
