import { promoteBound } from './bounds.ts';
import { primitiveType } from './primitive-type.ts';
import { asBuffer, float64Bytes, unscaledBytes } from './value-bytes.ts';

/** Types whose values keep their bytes, or whose length states their own type, if they become another type (`promoteBound`). */
const PROMOTIONS: Readonly<Record<string, readonly string[]>> = {
  int: ['long'],
  float: ['double'],
  date: ['timestamp', 'timestamp_ns'],
};

/**
 * A bound in the type that its column has now. Delta widens types that Iceberg does not (Delta protocol, "Type Widening"): integers to double and
 * decimal, decimals to a larger scale, and the bytes do not state which type they are of.
 *
 * @param from type of the column in the schema that the file's statistics were read with
 * @returns undefined if the value has no equal in the type, such as those of a column that was replaced by one of the same name
 */
export function convertBound(from: string, to: string, bytes: Uint8Array): Uint8Array | undefined {
  if (from === to) return bytes;
  const [source, target] = [primitiveType(from), primitiveType(to)];
  if (source === undefined || target === undefined) return undefined;
  if (target.kind === 'decimal' && (isInteger(source.kind) || source.kind === 'decimal')) {
    const scale = (target.scale ?? 0) - (source.scale ?? 0);
    const value = source.kind === 'decimal' ? unscaled(bytes) : integer(bytes);
    return value === undefined || scale < 0 ? undefined : unscaledBytes(value * 10n ** BigInt(scale));
  }
  if (target.kind === 'double' && isInteger(source.kind)) {
    const value = integer(bytes);
    return value === undefined ? undefined : float64Bytes(Number(value));
  }
  return source.kind === target.kind || PROMOTIONS[source.kind]?.includes(target.kind)
    ? promoteBound(to, bytes)
    : undefined;
}

const isInteger = (kind: string) => kind === 'int' || kind === 'long';

function integer(bytes: Uint8Array): bigint | undefined {
  if (bytes.length === 4) return BigInt(asBuffer(bytes).readInt32LE());
  return bytes.length === 8 ? asBuffer(bytes).readBigInt64LE() : undefined;
}

/** A decimal of 38 digits has 16 bytes. */
function unscaled(bytes: Uint8Array): bigint | undefined {
  if (bytes.length === 0 || bytes.length > 16) return undefined;
  return BigInt.asIntN(8 * bytes.length, BigInt(`0x${asBuffer(bytes).toString('hex')}`));
}
