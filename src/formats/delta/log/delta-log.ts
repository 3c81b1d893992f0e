import { CodedError } from '../../../errors.ts';
import type { ObjectStat } from '../../../storage/object-store.ts';
import { FilePaths } from '../files/file-paths.ts';
import {
  commitIdentity,
  fingerprintOf,
  fingerprintVersion,
  parseFingerprint,
  type StateOrigins,
} from './fingerprint.ts';
import { lastCheckpointHint } from './last-checkpoint.ts';
import { checksumName, commitName, versionDigits } from './log-file.ts';
import { type CatalogCommits, type Checkpoint, LogListing } from './log-listing.ts';
import type { LogStore } from './log-store.ts';
import { emptyLog, firstReadable, readableVersions, type VersionRange } from './readable-versions.ts';

export interface OpenDeltaLog {
  store: LogStore;
  /** The table's folder, without a trailing slash. */
  location: string;
  /** Fingerprint of a state that is known. If its commit is still there, only what comes after it is listed. */
  known?: string;
  /** Present for a catalog-managed table. */
  catalog?: CatalogCommits;
}

/**
 * Up to this version, the whole log is listed: its commits, checksum files and checkpoints are a page of S3's listing. For more, a listing from the
 * known version on and a look at the oldest commit are cheaper.
 */
const MAX_SHORT_LOG = 400;

/** The listing of a table's log. What is listed does not change afterwards. */
export class DeltaLog implements VersionRange {
  readonly folder: string;
  readonly first: number;
  readonly last: number;
  /** Whether it is the log of the known state: the commit of that version is the same. */
  readonly continuesKnown: boolean;
  /** Whether versions that were read before may have other commits now: the known one is gone or has another, and was not cleaned up. */
  readonly isRewritten: boolean;
  readonly #store: LogStore;
  readonly #paths: FilePaths;
  readonly #catalog?: CatalogCommits;
  readonly #known?: string;
  #listing: LogListing;
  /** The version with which the listing begins. */
  #from: number;

  private constructor(
    { store, location, known, catalog }: OpenDeltaLog,
    { listing, from, range, continuesKnown }: Listed & { range: VersionRange; continuesKnown: boolean },
  ) {
    this.folder = folderOf(location);
    this.#store = store;
    this.#paths = new FilePaths(location);
    this.#catalog = catalog;
    this.#known = known;
    this.#listing = listing;
    this.#from = from;
    this.first = range.first;
    this.last = range.last;
    this.continuesKnown = continuesKnown;
    this.isRewritten = !continuesKnown && (fingerprintVersion(known) ?? -1) >= range.first;
  }

  /**
   * Lists a log: the whole, or what is new since a known state and enough of the beginning to see which versions are gone.
   *
   * @throws CodedError `NOT_FOUND` if there is no log, `DATA_LOSS` if commits are missing
   */
  static async open(options: OpenDeltaLog): Promise<DeltaLog> {
    const folder = folderOf(options.location);
    const known = parseFingerprint(options.known);
    if (known !== undefined && known.version > MAX_SHORT_LOG) {
      const { version: from } = known;
      const [listing, oldest] = await Promise.all([
        list(options, folder, from),
        firstSince(options, folder, { from, first: known.first }),
      ]);
      if (await continues(options, folder, listing)) {
        const { first, last } = readableVersions(listing, folder, from);
        const range = { first: first === from ? oldest : first, last };
        return new DeltaLog(options, { listing, from, range, continuesKnown: true });
      }
    }
    const listing = await list(options, folder, 0);
    const range = readableVersions(listing, folder);
    return new DeltaLog(options, {
      listing,
      from: 0,
      range,
      continuesKnown: await continues(options, folder, listing),
    });
  }

  /** Undefined if only a checkpoint has the version. */
  commitPath(version: number): string | undefined {
    return this.#listing.hasCommit(version) || version < this.#from
      ? commitPath(this.folder, this.#listing, version)
      : undefined;
  }

  /** The path that a version's commit has once it is published, which never changes. */
  publishedPath(version: number): string {
    return `${this.folder}/${commitName(version)}`;
  }

  /** Size and time of a commit if the listing contains them. */
  listedStat(version: number): ObjectStat | undefined {
    return this.#listing.stat(version);
  }

  /** Size and time of a commit, or of the checkpoint if the version has no commit. */
  async stat(version: number): Promise<ObjectStat> {
    return statAt(this.#store, this.folder, this.#listing, version);
  }

  /** Identifies the newest version. It is the known fingerprint if nothing has changed since. */
  async fingerprint(origins?: StateOrigins): Promise<string> {
    const commit = commitIdentity(this.last, await this.stat(this.last));
    const known = parseFingerprint(this.#known);
    if (known?.commit === commit && known.first === this.first) return this.#known as string;
    return fingerprintOf(commit, this.first, origins);
  }

  /** Whether the version is one of this log, with this identity of its commit. */
  async has(version: number, commit: string): Promise<boolean> {
    if (version > this.last || !this.#listing.hasCommit(version)) return false;
    return commitIdentity(version, await this.stat(version)) === commit;
  }

  /** Whether the version may have a checkpoint. Costs nothing. */
  mayHaveCheckpoint(version: number): boolean {
    return version < this.#from || this.#listing.checkpointUpTo(version)?.version === version;
  }

  checksumPath(version: number): string | undefined {
    return version < this.#from || this.#listing.hasChecksum(version)
      ? `${this.folder}/${checksumName(version)}`
      : undefined;
  }

  /** The newest complete checkpoint of this version or an older one. Undefined if the commits from 0 on are all that there is. */
  async checkpointUpTo(version: number): Promise<Checkpoint | undefined> {
    const hint = this.#from > 0 ? await lastCheckpointHint(this.#store, this.folder) : undefined;
    for (const from of hint !== undefined && hint < this.#from ? [hint, 0] : [0]) {
      const found = this.#listing.checkpointUpTo(version);
      if (found !== undefined || this.#from === 0) return found;
      this.#listing = await list({ store: this.#store, catalog: this.#catalog }, this.folder, from);
      this.#from = from;
    }
    return this.#listing.checkpointUpTo(version);
  }

  path(name: string): string {
    return `${this.folder}/${name}`;
  }

  /** @param path as in the log: a URI-encoded name, or an absolute path */
  sidecarPath(path: string): string {
    return this.#paths.absolute(path.includes('/') ? path : `_delta_log/_sidecars/${path}`);
  }

  /** @throws CodedError `NOT_FOUND` */
  require(version: number): void {
    if (version >= this.first && version <= this.last) return;
    throw new CodedError(
      'NOT_FOUND',
      `${this.folder} has no version ${version}: it has versions ${this.first} to ${this.last}`,
    );
  }
}

/**
 * Identifies the newest version of a table, at the cost of a listing of what is new.
 *
 * @param known the fingerprint of an earlier state
 * @throws CodedError as `DeltaLog.open`
 */
export async function deltaFingerprint(options: OpenDeltaLog): Promise<string> {
  const { store, location, known } = options;
  const folder = folderOf(location);
  const from = fingerprintVersion(known) ?? (await lastCheckpointHint(store, folder)) ?? 0;
  for (const start of from > 0 ? [from, 0] : [0]) {
    const listing = await list(options, folder, start);
    const newest = Math.max(listing.newestCommit ?? -1, listing.checkpoints.at(-1)?.version ?? -1);
    if (newest < 0) continue;
    const found = commitIdentity(newest, await statAt(store, folder, listing, newest));
    return known !== undefined && found === parseFingerprint(known)?.commit ? known : found;
  }
  throw emptyLog(folder);
}

interface Listed {
  listing: LogListing;
  from: number;
}

const folderOf = (location: string) => `${location}/_delta_log`;

async function list(
  { store, known, catalog }: Pick<OpenDeltaLog, 'store' | 'known' | 'catalog'>,
  folder: string,
  from: number,
): Promise<LogListing> {
  const listing = new LogListing({ known: fingerprintVersion(known), catalog });
  for await (const page of store.list(folder, from === 0 ? undefined : versionDigits(from))) listing.add(page);
  return listing;
}

/** The first readable version. As long as the one that was first before still has its commit, nothing was cleaned up. */
async function firstSince(
  options: OpenDeltaLog,
  folder: string,
  { from, first }: { from: number; first: number | undefined },
): Promise<number> {
  if (first !== undefined) {
    const stat = await options.store.stat(`${folder}/${commitName(first)}`).catch(undefinedIfGone);
    if (stat !== undefined) return first;
  }
  return firstOf(options, folder, from);
}

function undefinedIfGone(error: unknown): undefined {
  if (!(error instanceof CodedError && error.code === 'NOT_FOUND')) throw error;
}

/** The first readable version, from the beginning of the listing. @param from up to which the log is not known to be complete */
async function firstOf({ store, catalog }: OpenDeltaLog, folder: string, from: number): Promise<number> {
  const listing = new LogListing({ catalog });
  for await (const page of store.list(folder)) {
    listing.add(page);
    const first = firstReadable(listing);
    if (first !== undefined && first <= from) return first;
    if ((listing.oldestCommit ?? 0) > from) break;
  }
  return from;
}

/** Whether the commit of the known version is the same. The catalog's staged commits are copied when they are published: then the size is. */
async function continues(
  { store, known, catalog }: OpenDeltaLog,
  folder: string,
  listing: LogListing,
): Promise<boolean> {
  const parsed = parseFingerprint(known);
  if (parsed === undefined || !listing.hasCommit(parsed.version)) return false;
  const stat = await statAt(store, folder, listing, parsed.version);
  const isSame = commitIdentity(parsed.version, stat) === parsed.commit;
  return isSame || (catalog !== undefined && stat.size === parsed.size);
}

function commitPath(folder: string, listing: LogListing, version: number): string {
  const staged = listing.staged(version);
  return staged ? `${folder}/_staged_commits/${staged.fileName}` : `${folder}/${commitName(version)}`;
}

async function statAt(store: LogStore, folder: string, listing: LogListing, version: number): Promise<ObjectStat> {
  const listed = listing.stat(version);
  if (listed !== undefined) return listed;
  const checkpoint = listing.hasCommit(version) ? undefined : listing.checkpointUpTo(version);
  if (checkpoint?.version !== version) {
    const stat = await store.stat(commitPath(folder, listing, version));
    listing.setStat(version, stat);
    return stat;
  }
  return store.stat(`${folder}/${checkpoint.files[0]?.name}`);
}
