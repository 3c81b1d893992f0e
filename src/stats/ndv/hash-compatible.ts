import { primitiveType } from '../primitive-type.ts';

/**
 * Whether equal values of two types have equal hashes. Widening a column (int to long, float to double, date to timestamp) makes its
 * values longer and so changes their hashes; raising only the precision of a decimal does not.
 */
export function areHashCompatible(a: string, b: string): boolean {
  if (a === b) return true;
  const [x, y] = [primitiveType(a), primitiveType(b)];
  return x?.kind === 'decimal' && y?.kind === 'decimal' && x.scale === y.scale;
}
