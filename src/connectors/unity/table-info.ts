import type { JsonFields } from '../../formats/json/json-fields.ts';

/** A table as the server lists it (`TableInfo`). Everything that has a three-part name is one, views included. */
export interface TableInfo {
  name: string;
  /** Identifies the table. Another one with the same name has another id. */
  id: string;
  /** `MANAGED`, `EXTERNAL`, `VIEW`, … */
  type: string;
  /** `DELTA`, `ICEBERG`, `CSV`, … Empty for a view. */
  format: string;
  location?: string;
  /** The caller may only see that it exists. */
  browseOnly: boolean;
}

/** The part of a view's `TableInfo` that describes it. */
export interface ViewInfo {
  definition?: string;
  columns: ColumnInfo[];
  properties: Record<string, string>;
  comment?: string;
}

export interface ColumnInfo {
  name: string;
  /** The JSON of a field or type, as in a Delta schema. */
  typeJson?: string;
  /** Such as `decimal(10,2)`. */
  typeText?: string;
  comment?: string;
  nullable: boolean;
}

/** Shallow clones have a log of their own, whose files are mostly another table's. */
const TABLE_TYPES: ReadonlySet<string> = new Set([
  'MANAGED',
  'EXTERNAL',
  'MANAGED_SHALLOW_CLONE',
  'EXTERNAL_SHALLOW_CLONE',
]);
/** Databricks lists UniForm tables with formats of their own. They are Delta tables that have metadata of another format too. */
const DELTA_FORMATS: ReadonlySet<string> = new Set(['DELTA', 'DELTA_UNIFORM_ICEBERG', 'DELTA_UNIFORM_HUDI']);

export function tableInfo(fields: JsonFields): TableInfo {
  return {
    name: fields.string('name'),
    id: fields.optionalString('table_id') ?? '',
    type: fields.optionalString('table_type') ?? '',
    format: fields.optionalString('data_source_format') ?? '',
    location: fields.optionalString('storage_location') || undefined,
    browseOnly: fields.value('browse_only') === true,
  };
}

export function viewInfo(fields: JsonFields): ViewInfo {
  return {
    definition: fields.optionalString('view_definition'),
    columns: fields.objects('columns').map((column) => ({
      name: column.string('name'),
      typeJson: column.optionalString('type_json'),
      typeText: column.optionalString('type_text'),
      comment: column.optionalString('comment'),
      nullable: column.value('nullable') !== false,
    })),
    properties: fields.stringMap('properties'),
    comment: fields.optionalString('comment'),
  };
}

/**
 * Whether it is a table whose log can be read. The rest is of kinds that only Databricks itself can read (foreign and shared tables, materialized views,
 * streaming tables), or of other formats.
 */
export function isDelta({ type, format, browseOnly }: TableInfo): boolean {
  return TABLE_TYPES.has(type) && DELTA_FORMATS.has(format) && !browseOnly;
}

export function isView({ type, browseOnly }: TableInfo): boolean {
  return type === 'VIEW' && !browseOnly;
}
