import { constants, type Dir, type Stats } from 'node:fs';
import { type FileHandle, lstat, open, opendir, realpath, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { CodedError, type CodeName } from '../errors.ts';
import { localPath } from './file-uri.ts';
import { LocalRoots } from './local-roots.ts';
import type { FolderEntry, ObjectStore } from './object-store.ts';
import { sortedPages } from './sorted-pages.ts';
import { TooLargeError } from './too-large-error.ts';
import type { Usage } from './usage.ts';

/** How many entries of a folder are read at once. */
const ENTRIES_PER_READ = 1_000;
/** The code and the explanation for each of the operating system's errors. */
const CODES: Readonly<Record<string, [CodeName, string]>> = {
  ENOENT: ['NOT_FOUND', 'there is no such file'],
  ENOTDIR: ['NOT_FOUND', 'a part of the path is not a folder'],
  EACCES: ['PERMISSION_DENIED', 'the worker has no permission; allow its user to read it'],
  EPERM: ['PERMISSION_DENIED', 'the worker has no permission; allow its user to read it'],
  EISDIR: ['FAILED_PRECONDITION', 'it is a folder, not a file'],
  ELOOP: ['FAILED_PRECONDITION', 'its symbolic links form a loop'],
  ENAMETOOLONG: ['INVALID_ARGUMENT', 'the path is too long for this file system'],
  ENXIO: ['FAILED_PRECONDITION', 'it is not a regular file'],
};

/**
 * Objects on the local file system, addressed by plain path or `file:` URI (see `localPath`).
 *
 * Errors besides those of `ObjectStore`: `PERMISSION_DENIED` if the operating system denies access or the path is outside the roots,
 * `FAILED_PRECONDITION` if it is not a regular file (folders, pipes, devices; reading never blocks on them), `UNAVAILABLE` for transient
 * failures.
 */
export class FileStore implements ObjectStore {
  readonly #roots?: LocalRoots;
  readonly #usage?: Usage;

  /** @param options.localRoots the folders that may be read; undefined allows all */
  constructor({ localRoots, usage }: { localRoots?: readonly string[]; usage?: Usage } = {}) {
    if (localRoots !== undefined) this.#roots = new LocalRoots(localRoots);
    this.#usage = usage;
  }

  async read(
    path: string,
    { maxBytes, start = 0, end }: { maxBytes: number; start?: number; end?: number },
  ): Promise<Uint8Array> {
    const handle = await this.#open(path);
    try {
      const stats = await handle.stat();
      requireFile(path, stats);
      const length = Math.max(0, Math.min(end ?? stats.size, stats.size) - start);
      if (length > maxBytes) {
        throw new TooLargeError(`${path} has ${length} bytes to read; the limit is ${maxBytes}`, length);
      }
      const bytes = await readFully(handle, start, length);
      if (this.#usage !== undefined) this.#usage.bytes += bytes.length;
      return bytes;
    } catch (error) {
      throw toCodedError(path, error);
    } finally {
      await handle.close();
    }
  }

  async stat(path: string): Promise<{ size: number; modifiedMs: number }> {
    let stats: Stats;
    try {
      stats = await stat(await this.#path(path));
    } catch (error) {
      throw toCodedError(path, error);
    }
    requireFile(path, stats);
    return { size: stats.size, modifiedMs: stats.mtimeMs };
  }

  list(folder: string, { after }: { after?: string } = {}): AsyncIterable<readonly FolderEntry[]> {
    return sortedPages(() => this.#entries(folder), after);
  }

  /**
   * The entries of a folder in no order. A symbolic link counts as its target. A link to a folder on its own path is omitted, because the tree
   * below it would be infinite.
   */
  async *#entries(folder: string): AsyncGenerator<FolderEntry> {
    let path: string;
    let entries: Dir;
    try {
      path = await this.#path(folder);
      entries = await opendir(path, { bufferSize: ENTRIES_PER_READ });
    } catch (error) {
      throw toCodedError(folder, error);
    }
    let above: Set<string> | undefined;
    try {
      for await (const entry of entries) {
        if (!entry.isSymbolicLink()) {
          yield { name: entry.name, folder: entry.isDirectory() };
          continue;
        }
        const target = await stat(join(path, entry.name)).catch(() => undefined);
        if (target?.isDirectory()) {
          above ??= await realFoldersAbove(path);
          const real = await realpath(join(path, entry.name)).catch(() => undefined);
          if (real === undefined || above.has(real)) continue;
        }
        yield { name: entry.name, folder: target?.isDirectory() ?? false };
      }
    } catch (error) {
      throw toCodedError(folder, error);
    }
  }

  /** Resolves the path and counts the request. Every request starts here. */
  async #path(path: string): Promise<string> {
    if (this.#usage !== undefined) this.#usage.requests++;
    const local = localPath(path);
    return this.#roots === undefined ? local : this.#roots.realPath(local);
  }

  async #open(path: string): Promise<FileHandle> {
    try {
      // O_NONBLOCK, because opening a pipe without a writer would block forever.
      return await open(await this.#path(path), constants.O_RDONLY | constants.O_NONBLOCK);
    } catch (error) {
      throw toCodedError(path, error);
    }
  }
}

async function readFully(handle: FileHandle, start: number, length: number): Promise<Uint8Array> {
  const bytes = Buffer.allocUnsafeSlow(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await handle.read(bytes, filled, length - filled, start + filled);
    if (bytesRead === 0) break; // truncated since `stat`
    filled += bytesRead;
  }
  return bytes.subarray(0, filled);
}

function requireFile(path: string, stats: Stats): void {
  if (stats.isFile()) return;
  const what = stats.isDirectory() ? 'a folder' : stats.isFIFO() ? 'a pipe' : 'not a regular file';
  throw new CodedError('FAILED_PRECONDITION', `cannot read ${path}: it is ${what}; expected a file`);
}

/** The real location of each folder on the path, and the folders above those. */
async function realFoldersAbove(path: string): Promise<Set<string>> {
  const folders = new Set<string>();
  for (let logical = path; ; logical = dirname(logical)) {
    const real = await realpath(logical).catch(() => undefined);
    for (let folder = real; folder !== undefined && !folders.has(folder); folder = dirname(folder)) folders.add(folder);
    const isLink = await lstat(logical).then(
      (stats) => stats.isSymbolicLink(),
      () => false,
    );
    if (logical === dirname(logical) || (!isLink && real === logical)) return folders;
  }
}

function toCodedError(path: string, error: unknown): CodedError {
  if (error instanceof CodedError) return error;
  const { code = '', message } = error as NodeJS.ErrnoException;
  const [name, meaning] = CODES[code] ?? ['UNAVAILABLE', `${code} ${message}; try again`];
  return new CodedError(name, `cannot read ${path}: ${meaning}`, { cause: error });
}
