import { setImmediate } from 'node:timers/promises';
import type { LeafColumn } from '../../stats/leaf-columns.ts';
import { ThetaSketch } from '../../stats/ndv/theta-sketch.ts';
import type { DataFileBytes } from '../table-reader.ts';
import { broken } from './broken.ts';
import { fieldIds, type MappedField } from './field-ids.ts';
import { readFooter, type SchemaNode } from './footer.ts';
import { sketchColumn } from './sketch-column.ts';
import { valueBytes } from './value-bytes.ts';

/** The sketch of one column of one file. */
export interface FileColumnSketch {
  columnId: number;
  /** The Iceberg type of the hashed values. */
  type: string;
  /** The sketch in DataSketches' compact form. */
  theta: Uint8Array;
  /** Estimated number of distinct values in the file. */
  estimate: number;
  /** Whether all values were read. */
  isComplete: boolean;
}

/**
 * Hashes kept per column of a file: at most 4 KiB, with 8 bytes per distinct value. The error of one file's sketch is 4.4 %; the union over
 * many files keeps more hashes, and its error is 2.2 %.
 */
const FILE_NOMINAL = 512;
/** Limit for the sketches of all columns of a file, which are sent in one message. Very wide files keep fewer hashes per column. */
const MAX_SKETCH_BYTES = 4 * 1024 * 1024;
/** Bytes to read per file, besides its end and dictionaries: up to 1 MiB for each of 20 columns, less per column for more. */
const MAX_BYTES_PER_FILE = 32 * 1024 * 1024;
const MAX_BYTES_PER_COLUMN = 1024 * 1024;
const MIN_BYTES_PER_COLUMN = 128 * 1024;
/** Bytes read first at the file's end. Small files are read at once, because a request costs more than reading half a MiB. */
const END_BYTES = 512 * 1024;

/**
 * Sketches the columns of a Parquet file. A column that is missing in the file has no values. A column whose type in the file does not fit the
 * table's is omitted.
 *
 * @param progress called after each column; an error that it throws ends the work
 * @throws CodedError see `readFooter` and `readPages`
 */
export async function sketchFile(
  bytes: DataFileBytes,
  columns: readonly LeafColumn[],
  nameMapping: MappedField[] | undefined,
  progress: () => void,
): Promise<FileColumnSketch[]> {
  const { footer, file, memory } = await readFooter(bytes, Math.min(END_BYTES, bytes.byteLength));
  using _ = memory;
  const ids = fieldIds(footer, nameMapping);
  if (ids.length > 0 && ids.every((id) => id === undefined)) {
    throw broken('its columns have no field ids, and the table has no name mapping for them');
  }
  const budget = Math.min(MAX_BYTES_PER_COLUMN, Math.max(MIN_BYTES_PER_COLUMN, MAX_BYTES_PER_FILE / columns.length));
  const nominal = Math.max(16, Math.min(FILE_NOMINAL, Math.floor(MAX_SKETCH_BYTES / 8 / columns.length)));
  const sketches: FileColumnSketch[] = [];
  for (const { id: columnId, type } of columns) {
    const index = ids.indexOf(columnId);
    if (index < 0) {
      sketches.push({ columnId, type, theta: NO_VALUES, estimate: 0, isComplete: true });
      continue;
    }
    const convert = valueBytes(type, footer.leaves[index] as SchemaNode);
    const sketched = convert && (await sketchColumn(file, footer, index, convert, budget));
    if (sketched !== undefined) {
      const { sketch, estimate, isComplete } = sketched;
      sketches.push({ columnId, type, theta: sketch.toCompact(nominal), estimate, isComplete });
    }
    // A column takes tens of milliseconds, so other tables get their turn in between.
    await setImmediate();
    progress();
  }
  return sketches;
}

const NO_VALUES = new ThetaSketch(FILE_NOMINAL).toCompact();
