import { CodedError } from '../../../errors.ts';
import { RESTORE } from '../../malformed.ts';
import { commitName } from './log-file.ts';
import type { LogListing } from './log-listing.ts';

/** The versions of a table that can be read, both included. */
export interface VersionRange {
  first: number;
  last: number;
}

/**
 * The versions that a listing shows to be readable: those up to the newest one whose commits are all there, beginning with version 0 or with the oldest
 * checkpoint that such commits follow (Delta protocol, "Metadata Cleanup"). A gap in front of a checkpoint that is in use does not matter, and
 * commits older than the oldest checkpoint may have survived a cleanup.
 *
 * @param from the version with which the listing begins; those before it are taken to be there
 * @throws CodedError `DATA_LOSS` if a commit is missing, or there is nothing that can be read
 */
export function readableVersions(listing: LogListing, folder: string, from = 0): VersionRange {
  const checkpoints = listing.checkpoints;
  const newestCommit = listing.newestCommit ?? -1;
  const last = Math.max(newestCommit, checkpoints.at(-1)?.version ?? -1);
  if (last < 0) throw emptyLog(folder);
  let start = last + 1;
  while (start > from && listing.hasCommit(start - 1)) start--;
  if (start === from) return { first: from, last };
  const first = checkpoints.find(({ version }) => version >= start - 1)?.version;
  if (first !== undefined) return { first, last };
  throw new CodedError(
    'DATA_LOSS',
    `version ${start - 1} is missing: there is no ${folder}/${commitName(start - 1)}, and no complete checkpoint after it.${RESTORE}`,
  );
}

/** The error for a log in which nothing can be read. */
export function emptyLog(folder: string): CodedError {
  return new CodedError(
    'DATA_LOSS',
    `${folder} has no commit and no complete checkpoint: restore the log, or remove the folder if it is not a table`,
  );
}

/**
 * The first readable version, from the beginning of a listing.
 *
 * @returns undefined if more of the listing is needed
 */
export function firstReadable(listing: LogListing): number | undefined {
  const oldest = listing.oldestCommit;
  if (oldest === 0) return 0;
  const newest = listing.newestCommit ?? -1;
  for (const { version } of listing.checkpoints) {
    let next = version + 1;
    while (next <= newest && listing.hasCommit(next)) next++;
    if (next > newest) return version;
  }
  return undefined;
}
