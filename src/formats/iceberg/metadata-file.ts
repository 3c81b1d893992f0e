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
 * more if it is compressed; what is kept of it takes up to one and a half times its size.
 */
const OPEN_TABLES = new MemoryBudget(160 * 1024 * 1024);
/** For large metadata of which nothing is kept, also that of a table that is open already. */
const READ_TABLES = new MemoryBudget(MAX_METADATA_BYTES);

/** Waits for the memory for the metadata of one table. @param bytes its JSON, if that is known. @param use what it is read for */
export function reserveMetadata(use: 'open' | 'look', bytes = MAX_METADATA_BYTES): Promise<ReservedMemory> {
  return (use === 'open' ? OPEN_TABLES : READ_TABLES).reserve(bytes);
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
  const small = await readBytes(store, path, LARGE_METADATA_BYTES);
  const text = typeof small === 'number' ? undefined : smallText(small, path);
  if (text !== undefined)
    return { metadata: await paced(tableMetadataOf(text, path)), bytes: (small as Uint8Array).length };
  // The size of what is compressed is only known in the end.
  const size = typeof small === 'number' && small > 0 && !path.includes('.gz') ? small : undefined;
  const memory = await reserveMetadata(use, size);
  try {
    const bytes = await readBytes(store, path, MAX_METADATA_BYTES);
    if (typeof bytes === 'number') throw metadataTooLarge(path, bytes || undefined);
    const json = await largeMetadataText(bytes).catch((error) => {
      throw error instanceof MetadataTooLargeError ? metadataTooLarge(path) : metadataError(path, error);
    });
    const metadata = await paced(tableMetadataOf(json, path));
    memory.shrink(json.length);
    return { metadata, bytes: bytes.length, memory };
  } catch (error) {
    memory[Symbol.dispose]();
    throw error;
  }
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
