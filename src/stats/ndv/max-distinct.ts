import { boundText } from '../bounds.ts';
import { primitiveType } from '../primitive-type.ts';

/** An upper bound of a column's distinct values, from its counts and bounds; undefined if these do not limit it. */
export function maxDistinct(
  type: string,
  column: { valueCount?: bigint; nullCount?: bigint; lowerBound?: Uint8Array; upperBound?: Uint8Array },
): number | undefined {
  const limits: number[] = [];
  if (column.valueCount !== undefined) limits.push(Number(column.valueCount - (column.nullCount ?? 0n)));
  const kind = primitiveType(type)?.kind;
  if (kind === 'boolean') limits.push(2);
  if (column.lowerBound !== undefined && column.upperBound !== undefined && (kind === 'int' || kind === 'long')) {
    const [lower, upper] = [boundText(type, column.lowerBound), boundText(type, column.upperBound)];
    if (lower !== undefined && upper !== undefined) limits.push(Number(BigInt(upper) - BigInt(lower)) + 1);
  }
  return limits.length === 0 ? undefined : Math.max(0, Math.min(...limits));
}
