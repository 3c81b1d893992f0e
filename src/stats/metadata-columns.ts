import type { LeafColumn } from './leaf-columns.ts';

/**
 * Columns of files that are in no table's schema: those of position delete files, and row lineage (Iceberg spec, "Reserved Field IDs").
 */
export const METADATA_COLUMNS: ReadonlyMap<number, LeafColumn> = new Map(
  (
    [
      [2147483546, 'file_path', 'string', true],
      [2147483545, 'pos', 'long', true],
      [2147483540, '_row_id', 'long', false],
      [2147483539, '_last_updated_sequence_number', 'long', false],
    ] as const
  ).map(([id, name, type, required]) => [id, { id, name, type, required }]),
);
