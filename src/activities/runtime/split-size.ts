/** When and how the files of one snapshot are split over activities. */
export interface SplitSize {
  /** A snapshot with more changes is split. */
  above: number;
  /** Changes a group, more where there would be too many groups. */
  group: number;
}

/**
 * Below, starting more activities takes longer than they save. A group is as many changes as the catalog acknowledges at a time, some two
 * seconds of work.
 */
export const SPLIT: SplitSize = { above: 100_000, group: 50_000 };
