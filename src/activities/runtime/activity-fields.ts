import type { JobRecord } from '../../contract/activities.ts';
import type { TableRef } from '../../contract/upstream-names.ts';
import type { Fields } from '../../telemetry/tracing/scope.ts';
import { tableText } from '../options/destination.ts';

/** Of a pack: the first. */
const TABLES_TOLD = 20;

/** What an activity is about, for its log lines and spans: as far as its input says. */
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
    ...(Array.isArray(tables) && { tables: tables.slice(0, TABLES_TOLD).map(tableText) }),
  };
}
