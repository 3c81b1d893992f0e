import type { Table } from '@aws-sdk/client-glue';
import { CodedError } from '../../errors.ts';

/** The parameters with which Iceberg's writers mark a Glue table and point to its metadata (Iceberg's AWS integration, Glue catalog). */
const TYPE = 'table_type';
const METADATA_LOCATION = 'metadata_location';

/**
 * Whether a Glue table is an Iceberg table, rather than a Hive table, a view or a Delta table. A Delta table is recognised by its provider,
 * even if it has Iceberg metadata too (UniForm).
 */
export function isIceberg({ TableType, Parameters = {} }: Table): boolean {
  return (
    TableType?.toUpperCase() !== 'VIRTUAL_VIEW' &&
    Parameters[TYPE]?.toUpperCase() === 'ICEBERG' &&
    Parameters['spark.sql.sources.provider']?.toLowerCase() !== 'delta'
  );
}

/** The location of the table's metadata file; it changes with every commit. Undefined if the writer has left it out. */
export function metadataLocation({ Parameters = {} }: Table): string | undefined {
  return Parameters[METADATA_LOCATION] || undefined;
}

/**
 * The location of an Iceberg table's metadata file.
 *
 * @param name for messages
 * @throws CodedError `FAILED_PRECONDITION` for a table that is neither an Iceberg nor a Delta table, and for one without the location
 */
export function requireMetadataLocation(table: Table, name: string): string {
  if (!isIceberg(table)) {
    const { TableType, Parameters = {} } = table;
    const what = Parameters['spark.sql.sources.provider'] ?? Parameters[TYPE] ?? Parameters.classification ?? TableType;
    throw new CodedError(
      'FAILED_PRECONDITION',
      `Glue's table ${name} is neither an Iceberg nor a Delta table: ${what ? `it is ${JSON.stringify(what.slice(0, 100))}` : 'it has no type'}`,
    );
  }
  const location = metadataLocation(table);
  if (location === undefined) {
    throw new CodedError(
      'FAILED_PRECONDITION',
      `Glue's table ${name} is an Iceberg table without the parameter ${METADATA_LOCATION}, so its metadata cannot be found. Register the ` +
        'table again with the location of its newest metadata file.',
    );
  }
  return location;
}

/** The table's own folders according to the catalog: its location, and the folder of its metadata file. */
export function ownFolders(table: Table, metadata: string): string[] {
  const location = table.StorageDescriptor?.Location;
  const folder = metadata.slice(0, metadata.lastIndexOf('/'));
  return [...(location ? [location] : [folder.replace(/\/metadata$/, '')]), folder];
}
