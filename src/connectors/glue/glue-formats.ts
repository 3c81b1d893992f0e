import type { Table } from '@aws-sdk/client-glue';
import { CodedError } from '../../errors.ts';
import type { TableFormat } from '../../formats/table-reader.ts';
import { isIceberg } from './glue-table.ts';

/** Connector property: the formats of the tables that are ingested, separated by commas. */
const FORMATS = 'glue.formats';
/** The input format of tables over symlink manifests, which list the files of one version of a Delta table as if they were a Hive table's. */
const SYMLINK_FORMAT = /SymlinkTextInputFormat$/;
const SYMLINK_FOLDER = /\/_symlink_format_manifest(\/|$)/;
/** Spark's placeholder for the location of a table whose path is in its storage properties (`HiveExternalCatalog`). */
const PLACEHOLDER = /-__PLACEHOLDER__\/?$/;

/** The formats that the connector's properties select: both by default. @throws CodedError `INVALID_ARGUMENT` */
export function glueFormats(properties: Readonly<Record<string, string>>): ReadonlySet<TableFormat> {
  const text = properties[FORMATS] || 'iceberg,delta';
  const formats = text.split(',').map((format) => format.trim().toUpperCase());
  if (formats.every((format): format is TableFormat => format === 'ICEBERG' || format === 'DELTA')) {
    return new Set(formats);
  }
  throw new CodedError(
    'INVALID_ARGUMENT',
    `${FORMATS} is ${JSON.stringify(text.slice(0, 100))}: give iceberg, delta, or both separated by a comma`,
  );
}

/** The format of a Glue table. Undefined for Hive tables, views, symlink manifests and other things. */
export function formatOf(table: Table): TableFormat | undefined {
  if (isDelta(table)) return 'DELTA';
  return isIceberg(table) ? 'ICEBERG' : undefined;
}

/**
 * Whether a Glue table is a Delta table: Spark and Trino set the provider, Athena the type, crawlers and AWS's libraries the classification. Even if it
 * has Iceberg metadata too (UniForm), it is a Delta table.
 */
function isDelta({ TableType, Parameters = {}, StorageDescriptor: storage }: Table): boolean {
  const marks = [Parameters['spark.sql.sources.provider'], Parameters.table_type, Parameters.classification];
  const isSymlink = SYMLINK_FORMAT.test(storage?.InputFormat ?? '') || SYMLINK_FOLDER.test(storage?.Location ?? '');
  return (
    TableType?.toUpperCase() !== 'VIRTUAL_VIEW' && !isSymlink && marks.some((mark) => mark?.toLowerCase() === 'delta')
  );
}

/**
 * The folder of a Delta table. Spark and Trino store it as the property `path` of the storage; Spark's location may then be a placeholder.
 *
 * @param name for messages
 * @throws CodedError `FAILED_PRECONDITION` if there is none
 */
export function deltaLocation({ Parameters = {}, StorageDescriptor: storage }: Table, name: string): string {
  const location = storage?.Location && !PLACEHOLDER.test(storage.Location) ? storage.Location : undefined;
  const found = storage?.SerdeInfo?.Parameters?.path || storage?.Parameters?.path || Parameters.path || location;
  if (found) return found.replace(/(?<=[^/])\/+$/, '');
  throw new CodedError(
    'FAILED_PRECONDITION',
    `Glue's table ${name} is a Delta table without a location, so its log cannot be found. Register the table again with the folder that ` +
      'contains _delta_log.',
  );
}
