import { primitiveType } from '../primitive-type.ts';

/**
 * Whether equal values of two types have equal hashes. A column that was widened (int to long, float to double, date to timestamp)
 * has longer bytes since then; a decimal that only got more digits has not.
 */
export function areHashCompatible(a: string, b: string): boolean {
  if (a === b) return true;
  const [x, y] = [primitiveType(a), primitiveType(b)];
  return x?.kind === 'decimal' && y?.kind === 'decimal' && x.scale === y.scale;
}
