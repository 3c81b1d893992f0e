import { CodedError } from '../../errors.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import type { ReadRange } from '../avro/container.ts';

/**
 * Reads a table's metadata files, counts the bytes, and finds the files of a table that was moved: metadata holds absolute
 * paths, and what lies under its own `location` is looked for under the folder where the table lies now.
 */
export class MetadataFiles {
  /** Bytes read so far. */
  bytesRead = 0;
  readonly #store: ObjectStore;
  /** Of the location and of the folder, both with a slash at the end; absent where the table was not moved. */
  readonly #moved?: { from: string; to: string };

  /**
   * @param location as the metadata says it
   * @param folder where the table lies; absent where only the metadata knows
   */
  constructor(store: ObjectStore, location?: string, folder?: string) {
    this.#store = store;
    if (location !== undefined && folder !== undefined && normalized(location) !== normalized(folder)) {
      this.#moved = { from: `${normalized(location)}/`, to: `${folder.replace(/\/+$/, '')}/` };
    }
  }

  /** Where a path of the metadata is to be looked for. */
  resolve(path: string): string {
    if (this.#moved === undefined) return path;
    const { from, to } = this.#moved;
    const plain = normalized(path);
    return plain.startsWith(from) ? to + plain.slice(from.length) : path;
  }

  /** @throws CodedError of the store, with the path that was looked for */
  async read(path: string, options: { maxBytes: number; start?: number; end?: number }): Promise<Uint8Array> {
    const resolved = this.resolve(path);
    const bytes = await this.#store.read(resolved, options).catch((error) => {
      // A table can also have got another location and left its old files where they were.
      if (resolved === path || !(error instanceof CodedError) || error.code !== 'NOT_FOUND') throw error;
      return this.#store.read(path, options).catch(() => {
        throw error;
      });
    });
    this.bytesRead += bytes.length;
    return bytes;
  }

  /** Reads parts of one file. */
  ranges(path: string): ReadRange {
    return (start, end) => this.read(path, { maxBytes: end - start, start, end });
  }
}

/** One form for `file:/a`, `file:///a` and `/a`, without a slash at the end. */
function normalized(path: string): string {
  const plain = path.replace(/^file:(?:\/\/(?:localhost)?(?=\/))?/i, '');
  return plain.replace(/^\/{2,}/, '/').replace(/(?<=.)\/+$/, '');
}
