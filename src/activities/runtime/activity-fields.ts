import type { JobRecord } from '../../contract/activities.ts';
import type { TableRef } from '../../contract/upstream-names.ts';
import type { Fields } from '../../telemetry/tracing/scope.ts';
import { tableText } from '../options/destination.ts';

/** Tables of a pack that are named. */
const MAX_TABLES = 20;

/** The connector and tables in an activity's input, for its log lines and spans. */
export function activityFields(input: unknown): Fields {
  const { table, tables, record, connectorName } = (input ?? {}) as {
    table?: TableRef;
    tables?: TableRef[];
    connectorName?: string;
    record?: JobRecord;
  };
  const connector = connectorName ?? record?.connectorName;
  return {
    ...(connector && { connector }),
    ...(table && { table: tableText(table) }),
    ...(Array.isArray(tables) && { tables: tables.slice(0, MAX_TABLES).map(tableText) }),
  };
}
