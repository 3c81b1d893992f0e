import { CodedError } from '../../../errors.ts';
import { ColumnIds, type PhysicalPath } from './column-ids.ts';

/** Schemas of the table that the catalog has. */
export type KnownSchema = Readonly<{ id: number; json: string }>;

/** Key of a schema's JSON: its ids are those of the column mapping, because the first version that was read had one. */
export const USES_MAPPING_IDS = 'column-mapping-ids';

/** Key of a schema's JSON: the partition spec of its versions. Absent if they are not partitioned. */
export const PARTITION_SPEC = 'partition-spec-id';

/** A schema's JSON without what differs between equal schemas. */
export interface ParsedSchema {
  id: number;
  usesMappingIds: boolean;
  specId: number | undefined;
  fields: unknown[];
}

/** @throws CodedError `DATA_LOSS`: only this code writes the schemas */
export function parseKnown({ id, json }: KnownSchema): ParsedSchema {
  try {
    const schema = JSON.parse(json) as Record<string, unknown>;
    if (!Array.isArray(schema.fields)) throw new Error('it has no fields');
    const specId = schema[PARTITION_SPEC] as number | undefined;
    return { id, usesMappingIds: schema[USES_MAPPING_IDS] === true, specId, fields: schema.fields };
  } catch (cause) {
    throw new CodedError('DATA_LOSS', `schema ${id} in the catalog is broken: ${(cause as Error).message}`, { cause });
  }
}

/** The ids that the schemas have given to columns. */
export function idsOf(schemas: readonly ParsedSchema[], usesMappingIds: boolean): ColumnIds {
  const ids = new ColumnIds(usesMappingIds);
  for (const { fields } of schemas) keepFields(ids, fields, []);
  return ids;
}

type Json = Record<string, unknown>;

function keepFields(ids: ColumnIds, fields: unknown, around: PhysicalPath): void {
  for (const field of fields as Json[]) {
    const path = [...around, String(field['physical-name'] ?? field.name)];
    ids.keep(path, field.id as number);
    keepNested(ids, field.type, path);
  }
}

function keepNested(ids: ColumnIds, type: unknown, path: PhysicalPath): void {
  const nested = type as Json;
  if (nested?.type === 'struct') keepFields(ids, nested.fields, path);
  for (const part of nested?.type === 'list' ? ['element'] : nested?.type === 'map' ? ['key', 'value'] : []) {
    const inner = [...path, part];
    ids.keep(inner, nested[`${part}-id`] as number);
    keepNested(ids, nested[part], inner);
  }
}
