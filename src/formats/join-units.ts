import type { ChangeRange } from './table-reader.ts';

/**
 * Joins consecutive units, such as manifests or parts of a checkpoint, into ranges that can be read independently.
 *
 * @param counts the number of changes in each unit
 * @param options.size changes per range, about; larger if there would be more than `maxRanges`
 */
export function joinUnits(
  counts: readonly number[],
  { size, maxRanges }: { size: number; maxRanges: number },
): ChangeRange[] {
  const rangeSize = Math.max(size, counts.reduce((all, count) => all + count, 0) / maxRanges);
  const ranges: ChangeRange[] = [];
  let before = 0;
  for (const [index, changes] of counts.entries()) {
    const last = ranges.at(-1);
    // A unit's start decides its range, so there are never more than `maxRanges`.
    if (last === undefined || Math.floor(before / rangeSize) > Math.floor((before - last.changes) / rangeSize)) {
      ranges.push({ from: index, to: index + 1, changes });
    } else {
      last.to = index + 1;
      last.changes += changes;
    }
    before += changes;
  }
  return ranges;
}
