import type { FolderEntry, ObjectStat } from '../../../storage/object-store.ts';
import { type CheckpointFile, logFile } from './log-file.ts';

/** A checkpoint of which no file is missing. */
export interface Checkpoint {
  version: number;
  /** One file, or the parts of a multi-part checkpoint in their order. */
  files: { name: string; size?: number }[];
  isJson: boolean;
}

/** A commit that the catalog of a catalog-managed table names (Delta protocol, "Catalog-managed Tables"). */
export interface CatalogCommit {
  version: number;
  /** In `_delta_log/_staged_commits`. */
  fileName: string;
  size: number;
  modifiedMs: number;
}

/** All commits of a catalog-managed table that the catalog names, and its latest version. */
export interface CatalogCommits {
  latestVersion: number;
  commits: readonly CatalogCommit[];
}

/**
 * The files of `_delta_log` from some version on, as they are listed. It holds a few numbers per commit, because a log may have 100,000 of them.
 */
export class LogListing {
  /** Ascending, like the names in the listing. */
  readonly #commits: number[] = [];
  /** Size and time of each commit; NaN if the listing does not contain them. */
  readonly #sizes: number[] = [];
  readonly #times: number[] = [];
  readonly #checksums = new Set<number>();
  readonly #checkpoints = new Map<number, Checkpoint>();
  readonly #parts = new Map<string, { name: string; size?: number }[]>();
  readonly #catalog?: CatalogCommits;
  readonly #staged = new Map<number, CatalogCommit>();
  /** The version whose ETag is needed, besides the newest. */
  readonly #known?: number;
  #knownEtag?: string;
  #newestEtag?: string;

  /**
   * @param options.known a version whose commit is compared
   * @param options.catalog of a catalog-managed table: its commits win over published ones, and later ones do not count
   */
  constructor({ known, catalog }: { known?: number; catalog?: CatalogCommits } = {}) {
    this.#known = known;
    this.#catalog = catalog;
    for (const commit of catalog?.commits ?? []) this.#staged.set(commit.version, commit);
  }

  /** Adds the next page of the listing. */
  add(entries: readonly FolderEntry[]): void {
    for (const { name, folder, stat } of entries) {
      const file = folder ? undefined : logFile(name);
      if (file === undefined || file.version > (this.#catalog?.latestVersion ?? file.version)) continue;
      if (file.kind === 'checksum') this.#checksums.add(file.version);
      else if (file.kind === 'commit') this.#addCommit(file.version, stat);
      else this.#addCheckpoint(name, file, stat?.size);
    }
  }

  get newestCommit(): number | undefined {
    return this.#catalog?.latestVersion ?? this.#commits.at(-1);
  }

  get oldestCommit(): number | undefined {
    const staged = this.#staged.size > 0 ? Math.min(...this.#staged.keys()) : undefined;
    const listed = this.#commits[0];
    return listed === undefined || (staged !== undefined && staged < listed) ? staged : listed;
  }

  hasCommit(version: number): boolean {
    return this.#staged.has(version) || this.#indexOf(version) !== undefined;
  }

  staged(version: number): CatalogCommit | undefined {
    return this.#staged.get(version);
  }

  /** What the listing contains of a commit. */
  stat(version: number): ObjectStat | undefined {
    const staged = this.#staged.get(version);
    if (staged) return { size: staged.size, modifiedMs: staged.modifiedMs };
    const index = this.#indexOf(version);
    if (index === undefined || Number.isNaN(this.#sizes[index])) return undefined;
    const isNewest = version === this.#commits.at(-1);
    const etag = isNewest ? this.#newestEtag : version === this.#known ? this.#knownEtag : undefined;
    return { size: this.#sizes[index] as number, modifiedMs: this.#times[index] as number, etag };
  }

  /** Keeps what the listing did not contain. */
  setStat(version: number, { size, modifiedMs, etag }: ObjectStat): void {
    const index = this.#indexOf(version);
    if (index === undefined) return;
    this.#sizes[index] = size;
    this.#times[index] = modifiedMs;
    if (version === this.#commits.at(-1)) this.#newestEtag = etag;
    if (version === this.#known) this.#knownEtag = etag;
  }

  hasChecksum(version: number): boolean {
    return this.#checksums.has(version);
  }

  /** The complete checkpoints, oldest first. */
  get checkpoints(): Checkpoint[] {
    return [...this.#checkpoints.values()].sort((a, b) => a.version - b.version);
  }

  /** The newest complete checkpoint of this version or an older one. */
  checkpointUpTo(version: number): Checkpoint | undefined {
    let newest: Checkpoint | undefined;
    for (const checkpoint of this.#checkpoints.values()) {
      if (checkpoint.version <= version && checkpoint.version > (newest?.version ?? -1)) newest = checkpoint;
    }
    return newest;
  }

  #addCommit(version: number, stat: ObjectStat | undefined): void {
    this.#commits.push(version);
    this.#sizes.push(stat?.size ?? Number.NaN);
    this.#times.push(stat?.modifiedMs ?? Number.NaN);
    this.#newestEtag = stat?.etag;
    if (version === this.#known) this.#knownEtag = stat?.etag;
  }

  #addCheckpoint(name: string, { version, isJson, isUuid, part }: CheckpointFile, size?: number): void {
    if (part) this.#addPart(version, name, part, size);
    // If a version has several checkpoints, any of them will do.
    else if (!this.#checkpoints.has(version) || !isUuid) {
      this.#checkpoints.set(version, { version, files: [{ name, size }], isJson });
    }
  }

  /** Two writers may have left parts of different checkpoints of one version. Only all parts of one make a checkpoint. */
  #addPart(version: number, name: string, { number, of }: { number: number; of: number }, size?: number): void {
    if (number < 1 || number > of) return;
    const key = `${version}/${of}`;
    const parts = this.#parts.get(key) ?? [];
    parts.push({ name, size });
    this.#parts.set(key, parts);
    // In the listing's order, the last part comes last.
    if (number !== of) return;
    this.#parts.delete(key);
    if (parts.length === of && !this.#checkpoints.has(version)) {
      this.#checkpoints.set(version, { version, files: parts, isJson: false });
    }
  }

  /** A log has few gaps, so that a version's place is nearly always as far from the end as its version. */
  #indexOf(version: number): number | undefined {
    const commits = this.#commits;
    const last = commits.at(-1);
    if (last === undefined || version > last) return undefined;
    let [low, high] = [0, commits.length - 1];
    const expected = commits.length - 1 - (last - version);
    if (commits[expected] === version) return expected;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const found = commits[middle] as number;
      if (found === version) return middle;
      if (found < version) low = middle + 1;
      else high = middle - 1;
    }
    return undefined;
  }
}
