import type { FileChange, FileChangeBatch } from '../../table-reader.ts';
import type { CheckpointReader } from '../checkpoint/checkpoint-reader.ts';
import type { Commits } from '../log/commits.ts';
import { batches, type FileChanges } from './file-changes.ts';

/** Which commits, newest first, and what is before them. */
export interface ReplayRange {
  /** The version whose files result. */
  version: number;
  /** The commits after this version. */
  after: number;
  /** Present if the files at `after` are included; the checkpoint is of that version. */
  checkpoint?: CheckpointReader;
  /** Removals are included: the result is the difference between two versions. */
  withRemovals: boolean;
  /** Units of the result: the commits together are unit 0, and the checkpoint's units follow. */
  from?: number;
  to?: number;
  signal?: AbortSignal;
}

/**
 * Replays commits from the newest to the oldest, and then the checkpoint before them (Delta protocol, "Action Reconciliation"): of each file, the newest
 * action counts. Memory holds the names of the files that the commits contain, however many files the checkpoint has.
 *
 * The order of actions in a commit means nothing. A file that a commit both adds and removes is live: writers remove it with its old vector, and
 * add it with its new one.
 */
export async function* replay(
  { version, after, checkpoint, withRemovals, from = 0, to = Number.POSITIVE_INFINITY, signal }: ReplayRange,
  commits: Commits,
  files: FileChanges,
): AsyncGenerator<FileChangeBatch> {
  const touched = new Map<string, Touch>();
  for (let at = version; at > after; at--) {
    // Nothing older needs to know what the oldest commit contains.
    const isOldest = at === after + 1 && checkpoint === undefined;
    for await (const { actions } of commits.fileActions(at, { signal })) {
      const changes: FileChange[] = [];
      for (const action of actions) {
        const key = files.key(action);
        const touch = touched.get(key);
        if (touch && (touch.version > at || touch.isAdd)) continue;
        const isAdd = action.kind === 'add';
        if (!isOldest || !isAdd) touched.set(key, { version: at, isAdd });
        if (isAdd) files.added(action, at, changes);
        else if (withRemovals && touch === undefined) files.removed(action, changes);
      }
      if (from <= 0) yield* batches(changes);
    }
  }
  if (checkpoint === undefined) return;
  const units = await checkpoint.units();
  for (let index = Math.max(0, from - 1); index < Math.min(units.length, to - 1); index++) {
    const unit = units[index] as (typeof units)[number];
    let kept: FileChange[] = [];
    for await (const adds of checkpoint.adds(unit, signal)) {
      if (kept.length > 0) yield* batches(kept);
      kept = [];
      for (const add of adds) if (!touched.has(files.key(add))) files.added(add, checkpoint.version, kept, true);
    }
    // Only what comes last has the position after the unit.
    yield* batches(kept, index + 2);
  }
}

/** The newest action about a file. */
interface Touch {
  version: number;
  isAdd: boolean;
}
