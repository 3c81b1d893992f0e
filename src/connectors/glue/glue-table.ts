import type { Table } from '@aws-sdk/client-glue';
import { CodedError } from '../../errors.ts';

/** The parameters by which Iceberg's writers mark a Glue table and point to its state (Iceberg's AWS integration, Glue catalog). */
const TYPE = 'table_type';
const METADATA_LOCATION = 'metadata_location';

/**
 * Whether it is an Iceberg table. Hive tables, views and Delta tables, which share the catalog, are not; a Delta table is told by its
 * provider, and may carry Iceberg metadata besides (UniForm): it is still the Delta connector's.
 */
export function isIceberg({ TableType, Parameters = {} }: Table): boolean {
  return (
    TableType?.toUpperCase() !== 'VIRTUAL_VIEW' &&
    Parameters[TYPE]?.toUpperCase() === 'ICEBERG' &&
    Parameters['spark.sql.sources.provider']?.toLowerCase() !== 'delta'
  );
}

/** Where the table's state lies: another one tells that it has changed. Absent where its writer left it out. */
export function metadataLocation({ Parameters = {} }: Table): string | undefined {
  return Parameters[METADATA_LOCATION] || undefined;
}

/**
 * Where an Iceberg table's state lies.
 *
 * @param name for people
 * @throws CodedError `FAILED_PRECONDITION` for what is no Iceberg table, or one without the parameter
 */
export function requireMetadataLocation(table: Table, name: string): string {
  if (!isIceberg(table)) {
    const { TableType, Parameters = {} } = table;
    const what = Parameters['spark.sql.sources.provider'] ?? Parameters[TYPE] ?? Parameters.classification ?? TableType;
    throw new CodedError(
      'FAILED_PRECONDITION',
      `Glue's table ${name} is not an Iceberg table but ${what ? JSON.stringify(what.slice(0, 100)) : 'of no type'}: its parameter ${TYPE} ` +
        'is not ICEBERG',
    );
  }
  const location = metadataLocation(table);
  if (location === undefined) {
    throw new CodedError(
      'FAILED_PRECONDITION',
      `Glue's table ${name} is an Iceberg table without the parameter ${METADATA_LOCATION}: its state cannot be found. Register it ` +
        'again with the location of its newest metadata file',
    );
  }
  return location;
}

/** Folders that are the table's own by the catalog's word: its location, and where its metadata file lies. */
export function ownFolders(table: Table, metadata: string): string[] {
  const location = table.StorageDescriptor?.Location;
  const folder = metadata.slice(0, metadata.lastIndexOf('/'));
  return [...(location ? [location] : [folder.replace(/\/metadata$/, '')]), folder];
}
