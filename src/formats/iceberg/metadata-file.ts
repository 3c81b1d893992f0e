import { collectGarbage } from '../../storage/collect-garbage.ts';
import { MemoryBudget, type ReservedMemory } from '../../storage/memory-budget.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import { TooLargeError } from '../../storage/too-large-error.ts';
import { fileError } from '../malformed.ts';
import { paced } from '../paced.ts';
import {
  largeMetadataText,
  MAX_METADATA_BYTES,
  MetadataTooLargeError,
  metadataError,
  metadataText,
  metadataTooLarge,
  type TableMetadata,
  tableMetadataOf,
} from './table-metadata.ts';

/** Metadata from this size waits for memory. A table with 6,000 snapshots has about as much. */
export const LARGE_METADATA_BYTES = 4 * 1024 * 1024;

/**
 * For the JSON of all tables with large metadata that this process has open. A table's JSON takes its own size until it is parsed, and once
 * more if it is compressed; what is kept of it takes up to one and a half times its size, and schemas with
 * other letters than Latin ones up to six times.
 */
const OPEN_TABLES = new MemoryBudget(96 * 1024 * 1024);
/** A collection takes a tenth of the time that it takes to read this much. */
const COLLECTED_BYTES = 32 * 1024 * 1024;
/** For large metadata of which nothing is kept, also that of a table that is open already. */
const READ_TABLES = new MemoryBudget(MAX_METADATA_BYTES);

/** Waits for the memory for the metadata of one table. @param bytes its JSON, if that is known. @param use what it is read for */
export async function reserveMetadata(use: 'open' | 'look', bytes = MAX_METADATA_BYTES): Promise<ReservedMemory> {
  const memory = await (use === 'open' ? OPEN_TABLES : READ_TABLES).reserve(bytes);
  // Whoever had the memory before has left garbage, which V8 would keep until its heap is several times as large.
  if (bytes > COLLECTED_BYTES) collectGarbage();
  return memory;
}

/** A table's metadata, and the memory that it takes until the table is closed. */
export interface ReadMetadata {
  metadata: TableMetadata;
  /** Bytes of the file. */
  bytes: number;
  memory?: ReservedMemory;
}

/**
 * Reads and parses a table's metadata file. If it is large, that happens in turns with other work, and after a wait for memory.
 *
 * @param use what it is read for; the caller has to dispose `memory`
 * @throws CodedError like `parseTableMetadata`; the store's errors
 */
export async function readMetadataFile(store: ObjectStore, path: string, use: 'open' | 'look'): Promise<ReadMetadata> {
  const found = await readBytes(store, path, LARGE_METADATA_BYTES);
  const text = typeof found === 'number' ? undefined : smallText(found, path);
  if (text !== undefined)
    return { metadata: await paced(tableMetadataOf(text, path)), bytes: (found as Uint8Array).length };
  try {
    return await readLarge(store, path, found, use, sizeOf(found, path));
  } catch (error) {
    if (!(error instanceof MetadataTooLargeError)) throw error;
    // It states a wrong size.
    return readLarge(store, path, found, use, MAX_METADATA_BYTES);
  }
}

/** @throws MetadataTooLargeError if it has more than `maxBytes`, and that is not the limit for all metadata */
async function readLarge(
  store: ObjectStore,
  path: string,
  found: Uint8Array | number,
  use: 'open' | 'look',
  maxBytes: number,
): Promise<ReadMetadata> {
  const memory = await reserveMetadata(use, maxBytes);
  try {
    const bytes = typeof found === 'number' ? await readBytes(store, path, MAX_METADATA_BYTES) : found;
    if (typeof bytes === 'number') throw metadataTooLarge(path, bytes || undefined);
    const json = await largeMetadataText(bytes, maxBytes).catch((error) => {
      if (!(error instanceof MetadataTooLargeError)) throw metadataError(path, error);
      throw maxBytes < MAX_METADATA_BYTES ? error : metadataTooLarge(path);
    });
    const metadata = await paced(tableMetadataOf(json, path));
    memory.shrink(json.length);
    return { metadata, bytes: bytes.length, memory };
  } catch (error) {
    memory[Symbol.dispose]();
    throw error;
  }
}

/** The memory to wait for. The last four bytes of a gzip file state the size of its content (RFC 1952, ISIZE). */
function sizeOf(found: Uint8Array | number, path: string): number {
  if (typeof found === 'number')
    return found > 0 && !path.includes('.gz') ? Math.min(found, MAX_METADATA_BYTES) : MAX_METADATA_BYTES;
  const claimed = Buffer.from(found.buffer, found.byteOffset, found.byteLength).readUInt32LE(found.length - 4);
  return claimed > LARGE_METADATA_BYTES ? Math.min(claimed, MAX_METADATA_BYTES) : MAX_METADATA_BYTES;
}

/** Returns the file's size instead, or 0 if it is unknown, if that is more than `maxBytes`. */
async function readBytes(store: ObjectStore, path: string, maxBytes: number): Promise<Uint8Array | number> {
  try {
    return await store.read(path, { maxBytes });
  } catch (error) {
    if (!(error instanceof TooLargeError)) throw fileError('table metadata', path, error);
    return error.bytes ?? 0;
  }
}

/** Undefined if it is large once it is decompressed. */
function smallText(bytes: Uint8Array, path: string): Buffer | undefined {
  try {
    return metadataText(bytes, LARGE_METADATA_BYTES);
  } catch (error) {
    if (error instanceof MetadataTooLargeError) return undefined;
    throw metadataError(path, error);
  }
}
