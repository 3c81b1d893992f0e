import { createHash } from 'node:crypto';
import { CodedError } from '../../../errors.ts';
import type { PartitionSpec } from '../../table-reader.ts';
import type { MetadataAction, ProtocolAction } from '../actions.ts';
import type { ColumnIds } from './column-ids.ts';
import type { DeltaColumn } from './delta-column.ts';
import { invalidColumn, parseSchemaString } from './delta-types.ts';
import {
  idsOf,
  type KnownSchema,
  PARTITION_SPEC,
  type ParsedSchema,
  parseKnown,
  USES_MAPPING_IDS,
} from './known-ids.ts';
import { PartitionSpecs } from './partition-specs.ts';
import { SchemaConverter } from './schema-json.ts';

/** The state of a table's columns that one metadata action gives. */
export interface DeltaSchema {
  /**
   * Iceberg's JSON of the schema (spec, appendix C), with field ids. Each field also has its `physical-name`, so that ids can be kept.
   * `schema-id` is `id`.
   */
  readonly json: string;
  readonly id: number;
  readonly spec: PartitionSpec;
  readonly usesColumnMapping: boolean;
  readonly columns: readonly DeltaColumn[];
  /** In the order of the spec's fields. */
  readonly partitionColumns: readonly DeltaColumn[];
}

/** Numbers schemas, partition specs and columns of one table, so that ids never change. */
export class DeltaSchemas {
  readonly #known: readonly ParsedSchema[];
  readonly #specs: PartitionSpecs;
  /** Schema ids by the SHA-256 of what the schema contains. */
  readonly #schemaIds = new Map<string, number>();
  #nextSchemaId = 0;
  /** Known from the first schema on. */
  #columnIds: { ids: ColumnIds; usesMappingIds: boolean } | undefined;
  #last: { key: string; schema: DeltaSchema } | undefined;

  /** @param known what the catalog has of the table already, from which ids are continued */
  constructor(
    known: { schemas: readonly KnownSchema[]; specs: readonly PartitionSpec[] } = { schemas: [], specs: [] },
  ) {
    this.#known = known.schemas.map(parseKnown);
    this.#specs = new PartitionSpecs(known.specs);
    for (const { id, specId, fields } of this.#known) {
      this.#schemaIds.set(keyOf(fields, specId), id);
      this.#nextSchemaId = Math.max(this.#nextSchemaId, id + 1);
    }
  }

  /**
   * Equal columns with the same partitioning have the same schema id, whichever versions have them. The result is the same object as before if nothing of the columns has
   * changed since the last call.
   *
   * @throws CodedError `UNIMPLEMENTED` or `DATA_LOSS` that names the column
   */
  schemaOf(metadata: MetadataAction, protocol: ProtocolAction): DeltaSchema {
    const isMapped = usesColumnMapping(metadata, protocol);
    const key = JSON.stringify([isMapped, metadata.schemaString, metadata.partitionColumns]);
    if (this.#last?.key !== key) this.#last = { key, schema: this.#read(metadata, isMapped) };
    return this.#last.schema;
  }

  /** All partition specs that are known so far; the list grows as versions are read. */
  get specs(): PartitionSpec[] {
    return this.#specs.all;
  }

  #read({ schemaString, partitionColumns }: MetadataAction, isMapped: boolean): DeltaSchema {
    const { ids, usesMappingIds } = this.#idsFor(isMapped);
    const { fields, columns } = new SchemaConverter(ids, isMapped).convert(parseSchemaString(schemaString));
    const partition = partitionColumns.map((name) => {
      const column = columns[indexOfName(fields, name)];
      if (column?.type === undefined)
        throw invalidColumn([name], 'a primitive type, because it is a partition column', column?.id);
      return { name, column };
    });
    const spec = this.#specs.specOf(partition.map(({ name, column }) => ({ name, id: column.id })));
    const specId = partition.length > 0 ? spec.specId : undefined;
    const id = this.#schemaIdOf(keyOf(fields, specId));
    const marks = {
      ...(usesMappingIds && { [USES_MAPPING_IDS]: true }),
      ...(specId !== undefined && { [PARTITION_SPEC]: specId }),
    };
    return {
      json: JSON.stringify({ type: 'struct', 'schema-id': id, ...marks, fields }),
      id,
      spec,
      usesColumnMapping: isMapped,
      columns,
      partitionColumns: partition.map(({ column }) => column),
    };
  }

  /** The first version that is ever read decides which ids a table uses. */
  #idsFor(isMapped: boolean): { ids: ColumnIds; usesMappingIds: boolean } {
    if (this.#columnIds === undefined) {
      const usesMappingIds = this.#known.length > 0 ? this.#known.some((schema) => schema.usesMappingIds) : isMapped;
      this.#columnIds = { ids: idsOf(this.#known, usesMappingIds), usesMappingIds };
    }
    return this.#columnIds;
  }

  #schemaIdOf(key: string): number {
    const known = this.#schemaIds.get(key);
    if (known !== undefined) return known;
    this.#schemaIds.set(key, this.#nextSchemaId);
    return this.#nextSchemaId++;
  }
}

/** @param specId absent if the table is not partitioned */
const keyOf = (fields: unknown, specId: number | undefined) =>
  createHash('sha256')
    .update(JSON.stringify([fields, specId]))
    .digest('base64');

/** Whether columns have physical names. The property is valid only if the protocol supports it (Delta protocol, "Column Mapping"). */
function usesColumnMapping({ configuration }: MetadataAction, protocol: ProtocolAction): boolean {
  const { minReaderVersion, readerFeatures = [] } = protocol;
  const isSupported = minReaderVersion === 2 || (minReaderVersion >= 3 && readerFeatures.includes('columnMapping'));
  const mode = (isSupported && configuration['delta.columnMapping.mode']) || 'none';
  if (mode === 'none') return false;
  if (mode === 'name' || mode === 'id') return true;
  throw new CodedError(
    'UNIMPLEMENTED',
    `the table's delta.columnMapping.mode is ${JSON.stringify(mode.slice(0, 100))}; none, name and id are supported`,
  );
}

/** Names are unique if case is ignored, and the metadata's lists may differ in case ("Schema Serialization Format"). */
function indexOfName(fields: readonly { name: string }[], name: string): number {
  const exact = fields.findIndex((field) => field.name === name);
  return exact >= 0 ? exact : fields.findIndex((field) => field.name.toLowerCase() === name.toLowerCase());
}
