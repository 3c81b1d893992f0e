import type { DataFileBytes } from '../table-reader.ts';
import { broken } from './broken.ts';
import type { ColumnChunk, SchemaNode } from './footer.ts';
import { type Page, readLeveledPage } from './pages.ts';

/** A page has at most 32 MiB before it is compressed; its header may contain a smallest and a largest value. */
const MAX_WINDOW_BYTES = 64 * 1024 * 1024;

/** Reads the pages of a whole column chunk one after the other. Memory holds a part of the chunk, however large that is. */
export class ColumnPages {
  readonly #file: DataFileBytes;
  readonly #chunk: ColumnChunk;
  readonly #leaf: SchemaNode;
  readonly #windowBytes: number;
  /** What is in memory of the chunk, the position in the file after it, and the chunk's end. */
  #window: Uint8Array = new Uint8Array(0);
  #position: number;
  readonly #end: number;
  #levels = 0;

  /**
   * @param windowBytes how much is requested at once
   * @throws CodedError `DATA_LOSS` if the chunk cannot be in the file
   */
  constructor(file: DataFileBytes, leaf: SchemaNode, chunk: ColumnChunk, windowBytes: number) {
    this.#file = file;
    this.#leaf = leaf;
    this.#chunk = chunk;
    this.#windowBytes = windowBytes;
    this.#position = Math.min(chunk.dictionaryOffset ?? chunk.dataOffset, chunk.dataOffset);
    this.#end = this.#position + chunk.compressedBytes;
    if (chunk.values < 0) throw broken(`its column ${leaf.name} is encrypted`);
    if (this.#end > file.byteLength) throw broken(`its column ${leaf.name} ends after the file`);
  }

  /** Whether every value was read. */
  get isOver(): boolean {
    return this.#levels >= this.#chunk.values;
  }

  /** @throws CodedError as `readPages`; `DATA_LOSS` if the chunk has fewer values than its file states */
  async next(): Promise<Page> {
    for (let windowBytes = this.#windowBytes; ; ) {
      const read = this.#window.length > 0 ? await readLeveledPage(this.#window, this.#chunk, this.#leaf) : undefined;
      if (read) {
        this.#window = this.#window.subarray(read.length);
        if (read.page === undefined) continue;
        if (read.page.kind !== 'dictionary') this.#levels += read.page.levels;
        return read.page;
      }
      if (this.#position >= this.#end || this.#window.length > MAX_WINDOW_BYTES) {
        throw broken(`its column ${this.#leaf.name} has ${this.#levels} of ${this.#chunk.values} values`);
      }
      await this.#extend(windowBytes);
      windowBytes *= 2;
    }
  }

  async #extend(bytes: number): Promise<void> {
    const end = Math.min(this.#position + bytes, this.#end);
    const more = await this.#file.slice(this.#position, end);
    if (more.length < end - this.#position) throw broken(`it ends before byte ${end}`);
    this.#position = end;
    this.#window = this.#window.length === 0 ? more : Buffer.concat([this.#window, more]);
  }
}
