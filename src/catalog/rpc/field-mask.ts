import { invalid } from './violations.ts';

/**
 * The paths of an update mask, each once.
 *
 * @param known every path that may be updated
 * @throws InvalidRequest where the mask is missing, empty or names something else
 */
export function maskPaths<Path extends string>(mask: string[] | undefined, known: readonly Path[]): Path[] {
  if (mask === undefined || mask.length === 0) {
    throw invalid('update_mask', `is required: name what to update, of ${known.join(', ')}`);
  }
  const unknown = mask.find((path) => !known.includes(path as Path));
  if (unknown !== undefined) {
    throw invalid('update_mask', `'${unknown.slice(0, 200)}' cannot be updated; these can: ${known.join(', ')}`);
  }
  // In one order, whatever the mask's: statements are compiled for it.
  return known.filter((path) => mask.includes(path));
}
