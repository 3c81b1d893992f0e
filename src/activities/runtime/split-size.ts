/** When and how the files of one snapshot are divided among activities. */
export interface SplitSize {
  /** A snapshot with more changes is split. */
  above: number;
  /** Changes per group; more if there would be too many groups. */
  group: number;
}

/**
 * With fewer changes, starting more activities takes longer than it saves. A group has as many changes as the catalog acknowledges at a time:
 * about two seconds of work.
 */
export const SPLIT: SplitSize = { above: 100_000, group: 50_000 };
