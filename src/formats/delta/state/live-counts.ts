import type { LiveFileCounts } from '../../table-reader.ts';
import type { CheckpointReader } from '../checkpoint/checkpoint-reader.ts';
import type { Commits } from '../log/commits.ts';
import type { DeltaLog } from '../log/delta-log.ts';
import { mayHaveVectors } from './protocol.ts';
import type { TableStates } from './table-states.ts';

/** Only for a commit with as many lines, which is read in parts, its lines are counted. */
const MIN_LINES = 20_000;
/** Commits whose lines are counted for one number. They may have to be read. */
const MAX_COUNTED = 100;

export interface LiveCountsOptions {
  log: DeltaLog;
  commits: Commits;
  states: TableStates;
  checkpoint(upTo: number): Promise<CheckpointReader | undefined>;
}

/**
 * Numbers of a version's live files: from its checksum file, the footers of its checkpoint, or, if it has a large commit, an earlier version and the lines
 * of the commits since then. Lines are not counted if they may add live files again, or if there may be deletion vectors.
 *
 * @returns undefined if they are not known
 */
export async function liveCounts(version: number, options: LiveCountsOptions): Promise<LiveFileCounts | undefined> {
  const known = await knownCounts(version, options);
  if (known) return known;
  const { log, commits, states } = options;
  const { adds, removes } = (await commits.smallActions(version)).files;
  if (adds + removes < MIN_LINES || mayHaveVectors((await states.at(version)).protocol)) return undefined;
  let dataFiles = 0;
  for (let at = version; at > version - MAX_COUNTED; at--) {
    const before = at === version ? undefined : await knownCounts(at, options);
    if (before) return before.deleteFiles > 0 ? undefined : { dataFiles: before.dataFiles + dataFiles, deleteFiles: 0 };
    if (at < log.first || log.commitPath(at) === undefined) return undefined;
    const { files } = await commits.smallActions(at);
    if (files.adds > 0 && files.removes === 0 && !files.addsRows) return undefined;
    dataFiles += files.adds - files.removes;
    if (at === 0) return dataFiles < 0 ? undefined : { dataFiles, deleteFiles: 0 };
  }
  return undefined;
}

async function knownCounts(
  version: number,
  { log, states, checkpoint: checkpointUpTo }: LiveCountsOptions,
): Promise<LiveFileCounts | undefined> {
  const checksum = await states.checksum(version);
  if (checksum?.files !== undefined) {
    const deleteFiles = mayHaveVectors(checksum.protocol) ? checksum.vectors : 0;
    if (deleteFiles !== undefined) return { dataFiles: checksum.files, deleteFiles };
  }
  if (!log.mayHaveCheckpoint(version)) return undefined;
  const checkpoint = await checkpointUpTo(version);
  if (checkpoint?.version !== version) return undefined;
  const counts = { dataFiles: 0, deleteFiles: 0 };
  for (const unit of await checkpoint.units()) {
    if (unit.counts === undefined) return undefined;
    counts.dataFiles += unit.counts.files;
    counts.deleteFiles += unit.counts.vectors;
  }
  return counts;
}
