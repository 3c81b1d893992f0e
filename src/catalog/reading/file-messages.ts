import { DataFile, type FileColumnStats, type PartitionValue } from '../../generated/reconciler/v1/statistics.ts';
import { boundText } from '../../stats/bounds.ts';
import { convertBound } from '../../stats/convert-bound.ts';
import { selectColumns } from '../../stats/leaf-columns.ts';
import { inTypeOfColumn } from '../../stats/partition-value.ts';
import { asBuffer } from '../../stats/value-bytes.ts';
import { invalid } from '../rpc/violations.ts';
import type { TableRow } from '../store/database/schema.ts';
import type { LiveFile } from '../store/files/live-files.ts';
import type { SnapshotIds } from '../store/files/snapshot-ids.ts';
import { isDelta } from '../store/tables/table-format.ts';
import type { SnapshotSchemas } from '../store/tables/table-schemas.ts';
import { PartitionFields } from './partition-fields.ts';

/**
 * The ids of the columns that the selectors name; undefined for all columns.
 *
 * @throws InvalidRequest if a selector matches no column
 */
export function selectedIds(schemas: SnapshotSchemas, selectors: readonly string[]): Set<number> | undefined {
  if (selectors.length === 0) return undefined;
  if (schemas.json === undefined) throw invalid('columns', 'cannot be resolved: the table has no schema');
  try {
    return new Set(selectColumns(schemas.json, selectors).map((column) => column.id));
  } catch (error) {
    throw invalid('columns', (error as Error).message);
  }
}

/** The approximate size of a file's message: what is stored, and the names and texts that were added. */
export function messageBytes({ body }: LiveFile, { columns, partition }: DataFile): number {
  let bytes = body.length;
  for (const { columnName, min = '', max = '' } of columns) bytes += columnName.length + min.length + max.length;
  for (const { text = '' } of partition) bytes += text.length;
  return bytes;
}

/** Converts stored files to messages. Names, types and the texts of bounds come from the snapshot's schemas, those of Iceberg's partition values from the table's. */
export class FileMessages {
  readonly #schemas: SnapshotSchemas;
  readonly #partitionFields: PartitionFields;
  readonly #isDelta: boolean;
  readonly #ids: Set<number> | undefined;
  readonly #places: SnapshotIds;

  constructor(
    schemas: SnapshotSchemas,
    table: Pick<TableRow, 'partition_specs' | 'format'>,
    ids: Set<number> | undefined,
    places: SnapshotIds,
  ) {
    this.#schemas = schemas;
    this.#partitionFields = new PartitionFields(table.partition_specs, schemas.currentType);
    this.#isDelta = isDelta(table);
    this.#ids = ids;
    this.#places = places;
  }

  /**
   * @param live a file that `places` has learned
   * @param file the decoded body, if the caller has decoded it
   */
  message(live: LiveFile, file = DataFile.decode(live.body)): DataFile {
    const addedBy = live.addedSnapshotId ?? this.#places.idAt(live.chain, live.addedOrd);
    return {
      ...file,
      columns: this.#columns(file),
      partition: this.#partition(file),
      sequenceNumber: BigInt(live.sequenceNumber),
      fileSequenceNumber: BigInt(live.fileSequenceNumber),
      addedSnapshotId: addedBy === undefined ? undefined : BigInt(addedBy),
    };
  }

  #partition({ specId, partition }: DataFile): PartitionValue[] {
    const fields = this.#partitionFields.of(specId);
    return partition.map(({ fieldId, name: storedName, type: storedType, value: stored }) => {
      const field = fields.get(fieldId);
      // Delta's partition columns are columns, which have a name and a type in each snapshot. Iceberg's partition fields have names of their own.
      const column = this.#isDelta ? this.#schemas.find(field?.sourceId ?? -1) : undefined;
      const type = column?.type ?? field?.type ?? storedType;
      const name = column?.name ?? storedName;
      if (stored === undefined) return { fieldId, name, type };
      const value = inTypeOfColumn({ type: storedType, value: stored }, type);
      return { fieldId, name, type, value, text: boundText(type, value) };
    });
  }

  /** A bound in the type that its column has in the snapshot; undefined if it has no equal there. */
  #converted({ schemaId }: DataFile, columnId: number, type: string, bound: Buffer): Buffer | undefined {
    if (schemaId === undefined || schemaId === this.#schemas.id) return bound;
    const converted = convertBound(this.#schemas.typeIn(schemaId, columnId) ?? type, type, bound);
    return converted && asBuffer(converted);
  }

  #columns(file: DataFile): FileColumnStats[] {
    const ids = this.#ids;
    // Readers of Delta know columns by their names.
    const isShown = ({ columnId }: FileColumnStats) =>
      (ids?.has(columnId) ?? true) && !(this.#isDelta && this.#schemas.isNameTaken(columnId));
    return file.columns.filter(isShown).map((column) => {
      const known = this.#schemas.find(column.columnId);
      const type = known?.type ?? column.logicalType;
      const boundOf = (bound: Buffer | undefined) => bound && this.#converted(file, column.columnId, type, bound);
      const [lowerBound, upperBound] = [boundOf(column.lowerBound), boundOf(column.upperBound)];
      return {
        ...column,
        columnName: known?.name ?? column.columnName,
        logicalType: type,
        lowerBound,
        upperBound,
        min: lowerBound && type ? boundText(type, lowerBound) : undefined,
        max: upperBound && type ? boundText(type, upperBound) : undefined,
      };
    });
  }
}
