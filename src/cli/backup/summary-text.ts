import type { DatabaseSummary } from '../../catalog/store/backup/check-database.ts';
import { plural } from '../../text.ts';
import { bytes } from '../io/format.ts';

/** `12.3 MiB: 7 tables, 0 views, 3 connectors, 25 jobs`. */
export function summaryText({ sizeBytes, tables, views, connectors, jobs }: DatabaseSummary): string {
  const contents = [
    plural(tables, 'table'),
    plural(views, 'view'),
    plural(connectors, 'connector'),
    plural(jobs, 'job'),
  ];
  return `${bytes(sizeBytes)}: ${contents.join(', ')}`;
}
