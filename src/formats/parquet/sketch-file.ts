import { setImmediate } from 'node:timers/promises';
import type { LeafColumn } from '../../stats/leaf-columns.ts';
import { ThetaSketch } from '../../stats/ndv/theta-sketch.ts';
import type { DataFileBytes } from '../table-reader.ts';
import { broken } from './broken.ts';
import { fieldIds, type MappedField } from './field-ids.ts';
import { readFooter, type SchemaNode } from './footer.ts';
import { sketchColumn } from './sketch-column.ts';
import { valueBytes } from './value-bytes.ts';

/** What one file holds of a column. */
export interface FileColumnSketch {
  columnId: number;
  /** The type as whose values they were hashed. */
  type: string;
  /** In DataSketches' compact form. */
  theta: Uint8Array;
  /** Distinct values in the file. */
  estimate: number;
  /** All values were read: else the sketch is of a part of them. */
  isComplete: boolean;
}

/**
 * Hashes kept of a file's column: 4 KiB at most, and 8 bytes a value for columns of few. The error of one file's sketch is 4.4 %; sketches
 * of many files together keep more hashes, down to 2.2 %.
 */
const FILE_NOMINAL = 512;
/** Of all columns of a file: very wide ones keep fewer hashes. It goes into one message to the catalog. */
const MAX_SKETCH_BYTES = 4 * 1024 * 1024;
/** Of a file's bytes, besides its end and dictionaries: 20 columns take up to 1 MiB each. */
const MAX_FILE_BYTES = 32 * 1024 * 1024;
const MAX_VALUES_PER_COLUMN = 1024 * 1024;
const MIN_VALUES_PER_COLUMN = 128 * 1024;
/** Small files are read at once: a request costs more than half a MiB. */
const END_BYTES = 512 * 1024;

/**
 * Sketches the columns of a Parquet file. A column that the file does not have has no values; one that has another type in it than in
 * the table is left out.
 *
 * @param progress called after each column; what it throws ends the work
 * @throws CodedError see `readFooter` and `readPages`
 */
export async function sketchFile(
  bytes: DataFileBytes,
  columns: readonly LeafColumn[],
  nameMapping: MappedField[] | undefined,
  progress: () => void,
): Promise<FileColumnSketch[]> {
  const { footerOf, file } = await readFooter(bytes, Math.min(END_BYTES, bytes.byteLength));
  const ids = fieldIds(footerOf, nameMapping);
  if (ids.length > 0 && ids.every((id) => id === undefined)) {
    throw broken('its columns have no field ids, and the table has no name mapping for them');
  }
  const budget = Math.min(MAX_VALUES_PER_COLUMN, Math.max(MIN_VALUES_PER_COLUMN, MAX_FILE_BYTES / columns.length));
  const nominal = Math.max(16, Math.min(FILE_NOMINAL, Math.floor(MAX_SKETCH_BYTES / 8 / columns.length)));
  const sketches: FileColumnSketch[] = [];
  for (const { id: columnId, type } of columns) {
    const index = ids.indexOf(columnId);
    if (index < 0) {
      sketches.push({ columnId, type, theta: NO_VALUES, estimate: 0, isComplete: true });
      continue;
    }
    const convert = valueBytes(type, footerOf.leaves[index] as SchemaNode);
    const sketched = convert && (await sketchColumn(file, footerOf, index, convert, budget));
    if (sketched !== undefined) {
      const { sketch, estimate, isComplete } = sketched;
      sketches.push({ columnId, type, theta: sketch.toCompact(nominal), estimate, isComplete });
    }
    // A column takes some ten milliseconds: other tables go on in between.
    await setImmediate();
    progress();
  }
  return sketches;
}

const NO_VALUES = new ThetaSketch(FILE_NOMINAL).toCompact();
