import { joinUnits } from '../../join-units.ts';
import type { ChangeRange } from '../../table-reader.ts';
import type { CheckpointReader } from '../checkpoint/checkpoint-reader.ts';
import type { Commits } from '../log/commits.ts';
import type { DeltaLog } from '../log/delta-log.ts';

/** How much of a commit is looked at to estimate its number of actions. */
const SAMPLE_BYTES = 64 * 1024;
/** An action with the statistics of a few columns. */
const ACTION_BYTES = 700;
const LINE_FEED = 0x0a;

interface RangeOptions {
  /** Changes per range. */
  size: number;
  maxRanges: number;
}

/** Splits a commit into ranges of bytes. Its lines are counted in its beginning only, which is the same at every call. */
export async function commitRanges(
  version: number,
  log: DeltaLog,
  commits: Commits,
  { size, maxRanges }: RangeOptions,
): Promise<ChangeRange[]> {
  const { size: bytes } = await log.stat(version);
  const sample = await commits.head(version, Math.min(bytes, SAMPLE_BYTES));
  const changes = bytes <= sample.length ? linesIn(sample) : Math.ceil((bytes / sample.length) * linesIn(sample));
  const count = Math.max(1, Math.min(maxRanges, Math.ceil(changes / size)));
  return Array.from({ length: count }, (_, index) => ({
    from: Math.floor((bytes / count) * index),
    to: Math.floor((bytes / count) * (index + 1)),
    changes: Math.floor((changes / count) * (index + 1)) - Math.floor((changes / count) * index),
  }));
}

/** Splits the files of a version into the commits after the checkpoint and the checkpoint's units (see `replay`). Undefined without their counts. */
export async function changeRanges(
  version: number,
  checkpoint: CheckpointReader,
  log: DeltaLog,
  options: RangeOptions,
): Promise<ChangeRange[] | undefined> {
  let commitBytes = 0;
  for (let at = checkpoint.version + 1; at <= version; at++) commitBytes += (await log.stat(at)).size;
  const counts = [Math.ceil(commitBytes / ACTION_BYTES)];
  for (const { counts: inUnit } of await checkpoint.units()) {
    if (inUnit === undefined) return undefined;
    counts.push(inUnit.files + inUnit.vectors);
  }
  return joinUnits(counts, options);
}

function linesIn(bytes: Uint8Array): number {
  let lines = 1;
  for (let at = bytes.indexOf(LINE_FEED); at >= 0 && at < bytes.length - 1; at = bytes.indexOf(LINE_FEED, at + 1))
    lines++;
  return lines;
}
