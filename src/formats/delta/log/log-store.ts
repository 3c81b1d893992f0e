import type { FolderEntry, ObjectStat, ObjectStore } from '../../../storage/object-store.ts';
import type { DataFileBytes } from '../../table-reader.ts';

/** Reads a table's files and counts the bytes. */
export class LogStore {
  bytesRead = 0;
  readonly #store: ObjectStore;

  constructor(store: ObjectStore) {
    this.#store = store;
  }

  async read(path: string, options: { maxBytes: number; start?: number; end?: number }): Promise<Uint8Array> {
    const bytes = await this.#store.read(path, options);
    this.bytesRead += bytes.length;
    return bytes;
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
    return { byteLength: sizeInBytes, slice: (start, end) => this.read(path, { maxBytes: end - start, start, end }) };
  }
}
