import { invalid } from './violations.ts';

/**
 * The paths of an update mask without duplicates.
 *
 * @param known every path that may be updated
 * @throws InvalidRequest if the mask is missing or empty, or has an unknown path
 */
export function maskPaths<Path extends string>(mask: string[] | undefined, known: readonly Path[]): Path[] {
  if (mask === undefined || mask.length === 0) {
    throw invalid('update_mask', `is required: name the fields to update, out of ${known.join(', ')}`);
  }
  const unknown = mask.find((path) => !known.includes(path as Path));
  if (unknown !== undefined) {
    throw invalid('update_mask', `'${unknown.slice(0, 200)}' cannot be updated; fields that can: ${known.join(', ')}`);
  }
  // In a fixed order, so that equal masks produce equal SQL statements.
  return known.filter((path) => mask.includes(path));
}
