import type { FolderEntry, ObjectStat, ObjectStore } from '../../../storage/object-store.ts';
import type { DataFileBytes } from '../../table-reader.ts';

/** What one table keeps: a new commit of 10,000 files with statistics of 20 columns has 15 MB. */
const MAX_KEPT_BYTES = 16 * 1024 * 1024;
/** What all open tables of a process keep together. */
const MAX_ALL_KEPT_BYTES = 48 * 1024 * 1024;
/** Checkpoints of a table with a thousand files have about this much. */
const MAX_SMALL_BYTES = 1024 * 1024;
let allKeptBytes = 0;

interface KeptPart {
  bytes: Uint8Array;
  /** The file ends with it. */
  isLast: boolean;
}

interface ReadOptions {
  maxBytes: number;
  start?: number;
  end?: number;
}

/** Reads a table's files and counts the bytes. */
export class LogStore implements Disposable {
  bytesRead = 0;
  readonly #store: ObjectStore;
  /** By path, and then by first byte. The file that was read first is first. */
  readonly #kept = new Map<string, Map<number, KeptPart>>();
  #keptBytes = 0;
  #isClosed = false;

  constructor(store: ObjectStore) {
    this.#store = store;
  }

  async read(path: string, options: ReadOptions): Promise<Uint8Array> {
    const bytes = await this.#store.read(path, options);
    this.bytesRead += bytes.length;
    return bytes;
  }

  /** Reads a part of a file that never changes, and that is probably read again with the same parts. */
  async readKept(path: string, start: number, end: number): Promise<Uint8Array> {
    const parts = this.#kept.get(path);
    const whole = parts?.get(0);
    if (whole?.isLast) return whole.bytes.subarray(start, end);
    const kept = parts?.get(start);
    if (kept && (kept.isLast || kept.bytes.length >= end - start)) return kept.bytes.subarray(0, end - start);
    const bytes = await this.read(path, { maxBytes: end - start, start, end });
    this.#keep(path, start, { bytes, isLast: bytes.length < end - start });
    return bytes;
  }

  /** Forgets what `readKept` has kept of a file. */
  forget(path: string): void {
    for (const { bytes } of this.#kept.get(path)?.values() ?? []) this.#count(-bytes.length);
    this.#kept.delete(path);
  }

  [Symbol.dispose](): void {
    // What is still being read is not kept.
    this.#isClosed = true;
    for (const path of this.#kept.keys()) this.forget(path);
  }

  stat(path: string): Promise<ObjectStat> {
    return this.#store.stat(path);
  }

  /** The entries of a folder after a name, in pages. */
  list(folder: string, after?: string): AsyncIterable<readonly FolderEntry[]> {
    return this.#store.list(folder, { after });
  }

  /** A file whose parts are read. */
  file(path: string, sizeInBytes: number): DataFileBytes {
    const isSmall = sizeInBytes <= MAX_SMALL_BYTES;
    return {
      byteLength: sizeInBytes,
      // A small file is read as a whole, each time that it is opened.
      slice: (start, end) =>
        isSmall && start === 0 && end === sizeInBytes
          ? this.readKept(path, start, end)
          : this.read(path, { maxBytes: end - start, start, end }),
    };
  }

  #keep(path: string, start: number, part: KeptPart): void {
    if (this.#isClosed) return;
    const { length } = part.bytes;
    const before = this.#kept.get(path)?.get(start)?.bytes.length ?? 0;
    const hasRoom = () => this.#keptBytes + length - before <= MAX_KEPT_BYTES;
    for (const other of this.#kept.keys()) {
      if (hasRoom()) break;
      // Only the beginning of a file that is larger is kept.
      if (other !== path) this.forget(other);
    }
    if (!hasRoom() || allKeptBytes + length - before > MAX_ALL_KEPT_BYTES) return;
    const parts = this.#kept.get(path) ?? new Map<number, KeptPart>();
    this.#kept.set(path, parts.set(start, part));
    this.#count(length - before);
  }

  #count(bytes: number): void {
    this.#keptBytes += bytes;
    allKeptBytes += bytes;
  }
}
