import type { SchemaNode } from './footer.ts';

/**
 * A value that a reader of metadata uses: texts, numbers, 64-bit integers and timestamps (in microseconds) as bigint, dates as days, decimals as text,
 * binaries as bytes.
 */
export type ParquetValue = string | number | bigint | boolean | Uint8Array;

const MICROS_PER_DAY = 86_400_000_000n;
/** The Julian day of 1970-01-01. */
const EPOCH_JULIAN_DAY = 2_440_588n;

/** Returns the conversion from a column's plain encoding (byte arrays without their length). */
export function valueDecoder(leaf: SchemaNode): (bytes: Uint8Array) => ParquetValue {
  const { scale } = leaf;
  if (scale !== undefined) return (bytes) => decimalText(unscaled(leaf, bytes), scale);
  switch (leaf.type) {
    case 'BOOLEAN':
      return (bytes) => bytes[0] === 1;
    case 'INT32':
      return leaf.isUnsigned ? (bytes) => view(bytes).getUint32(0, true) : (bytes) => view(bytes).getInt32(0, true);
    case 'INT64':
      if (leaf.unit === 'MILLIS') return (bytes) => view(bytes).getBigInt64(0, true) * 1000n;
      if (leaf.unit === 'NANOS') return (bytes) => floorDivide(view(bytes).getBigInt64(0, true), 1000n);
      return (bytes) => view(bytes).getBigInt64(0, true);
    case 'INT96':
      return (bytes) => {
        const day = BigInt(view(bytes).getInt32(8, true)) - EPOCH_JULIAN_DAY;
        return day * MICROS_PER_DAY + floorDivide(view(bytes).getBigInt64(0, true), 1000n);
      };
    case 'FLOAT':
      return (bytes) => view(bytes).getFloat32(0, true);
    case 'DOUBLE':
      return (bytes) => view(bytes).getFloat64(0, true);
    default:
      return leaf.isText ? textOf : (bytes) => bytes.slice();
  }
}

function unscaled({ type }: SchemaNode, bytes: Uint8Array): bigint {
  if (type === 'INT32') return BigInt(view(bytes).getInt32(0, true));
  if (type === 'INT64') return view(bytes).getBigInt64(0, true);
  // Big-endian, two's complement.
  const hex = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
  return hex === '' ? 0n : BigInt.asIntN(8 * bytes.length, BigInt(`0x${hex}`));
}

function decimalText(value: bigint, scale: number): string {
  const digits = String(value < 0n ? -value : value).padStart(scale + 1, '0');
  const text = scale > 0 ? `${digits.slice(0, -scale)}.${digits.slice(-scale)}` : digits;
  return value < 0n ? `-${text}` : text;
}

const textOf = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');

function floorDivide(value: bigint, divisor: bigint): bigint {
  const quotient = value / divisor;
  return value < 0n && quotient * divisor !== value ? quotient - 1n : quotient;
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
