import { CodedError } from '../../errors.ts';
import { sameScheme } from '../../storage/location.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import type { ReadRange } from '../avro/container.ts';

/**
 * Reads a table's metadata files, counts the bytes, and finds the files of a table that was moved. Metadata contains absolute paths; paths
 * below its own `location` are looked up below the table's current folder.
 */
export class MetadataFiles {
  /** Bytes read so far. */
  bytesRead = 0;
  readonly #store: ObjectStore;
  /** The location in the metadata and the current folder, both with a trailing slash; absent if the table was not moved. */
  readonly #moved?: { from: string; to: string };

  /**
   * @param location the location in the metadata
   * @param folder the table's current folder; absent if only the metadata defines it
   */
  constructor(store: ObjectStore, location?: string, folder?: string) {
    this.#store = store;
    if (location !== undefined && folder !== undefined && normalized(location) !== normalized(folder)) {
      this.#moved = { from: `${normalized(location)}/`, to: `${folder.replace(/\/+$/, '')}/` };
    }
  }

  /** The current path of a file, from its path in the metadata. */
  resolve(path: string): string {
    if (this.#moved === undefined) return path;
    const { from, to } = this.#moved;
    const plain = normalized(path);
    return plain.startsWith(from) ? to + plain.slice(from.length) : path;
  }

  /** @throws CodedError of the store, with the resolved path */
  async read(path: string, options: { maxBytes: number; start?: number; end?: number }): Promise<Uint8Array> {
    const resolved = this.resolve(path);
    const bytes = await this.#store.read(resolved, options).catch((error) => {
      // The table's location may have been changed without moving the old files.
      if (resolved === path || !(error instanceof CodedError) || error.code !== 'NOT_FOUND') throw error;
      return this.#store.read(path, options).catch(() => {
        throw error;
      });
    });
    this.bytesRead += bytes.length;
    return bytes;
  }

  /** Returns a function that reads parts of one file. */
  ranges(path: string): ReadRange {
    return (start, end) => this.read(path, { maxBytes: end - start, start, end });
  }
}

/**
 * The same form, without a trailing slash, for `file:/a`, `file:///a` and `/a`; for the schemes of one object store; and for HDFS paths with any name
 * service or host, or none: writers differ in them, also within one table.
 */
function normalized(path: string): string {
  const plain = sameScheme(path)
    .replace(/^file:(?:\/\/(?:localhost)?(?=\/))?/i, '')
    .replace(/^hdfs:(?:\/\/[^/]*(?=\/))?/i, 'hdfs:');
  return plain.replace(/^\/{2,}/, '/').replace(/(?<=.)\/+$/, '');
}
