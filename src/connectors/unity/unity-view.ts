import { createHash } from 'node:crypto';
import { CodedError } from '../../errors.ts';
import { DeltaSchemas } from '../../formats/delta/columns/delta-schema.ts';
import type { ViewDescriptor } from '../spi.ts';
import type { ColumnInfo, TableInfo, ViewInfo } from './table-info.ts';
import type { UnityName } from './unity-api.ts';

/** Databricks and Spark have the same dialect, and Unity Catalog names none. */
const DIALECT = 'spark';
/** The catalog and schema in which the view was created, as Spark stores them in its properties. */
const CURRENT = 'view.catalogAndNamespace.';
/** SQL's names of types that Delta names differently. */
const TYPES: Readonly<Record<string, string>> = { int: 'integer', bigint: 'long', smallint: 'short', tinyint: 'byte' };

/**
 * Describes a view as the catalog has it. Unity Catalog does not number versions, so that the fingerprint alone identifies one.
 *
 * @throws CodedError `DATA_LOSS` if it has no definition
 */
export function viewDescriptor({ catalog, schema, table }: UnityName, info: TableInfo & ViewInfo): ViewDescriptor {
  const { definition, columns, comment, properties } = info;
  if (!definition) {
    throw new CodedError(
      'DATA_LOSS',
      `Unity Catalog returned no definition of view ${catalog}.${schema}.${table}. It shows it only to those who may see it.`,
    );
  }
  const parts = Number(properties[`${CURRENT}numParts`]);
  const current = [0, 1].map((i) => (parts === 2 ? properties[`${CURRENT}part.${i}`] : undefined));
  const [defaultCatalog = catalog, defaultSchema = schema] = current;
  const described = {
    uuid: info.id,
    versionId: 1,
    schema: { id: 0, json: schemaJson(columns) },
    representations: [{ sql: definition, dialect: DIALECT }],
    defaultCatalog,
    defaultNamespace: [defaultSchema],
    properties: { ...properties, ...(comment && { comment }) },
  };
  const fingerprint = createHash('sha256').update(JSON.stringify(described)).digest('hex');
  return { ...described, fingerprint };
}

/** The columns as Iceberg's JSON of a schema. */
function schemaJson(columns: readonly ColumnInfo[]): string {
  const fields = columns.map(deltaField);
  const metadata = {
    id: '',
    schemaString: JSON.stringify({ type: 'struct', fields }),
    partitionColumns: [],
    configuration: {},
    provider: '',
  };
  return new DeltaSchemas().schemaOf(metadata, { minReaderVersion: 1, minWriterVersion: 1 }).json;
}

/** A column as a field of Delta's JSON. `type_json` is such a field, or only its type. */
function deltaField({ name, typeJson, typeText = '', comment, nullable }: ColumnInfo): Record<string, unknown> {
  const parsed = parsedJson(typeJson);
  const isField = typeof parsed === 'object' && parsed !== null && 'name' in parsed && 'type' in parsed;
  const text = typeText.toLowerCase().replace(/\s/g, '');
  const type = isField ? parsed.type : (parsed ?? TYPES[text] ?? text);
  return { name, type, nullable, metadata: comment ? { comment } : {} };
}

function parsedJson(text: string | undefined): unknown {
  try {
    return text ? JSON.parse(text) : undefined;
  } catch {
    // Some servers have the bare name of a type, which `type_text` has too.
    return undefined;
  }
}
