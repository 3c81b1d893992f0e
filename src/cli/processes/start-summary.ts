import { ClientError, Status } from 'nice-grpc';
import type { CatalogClients } from '../../catalog-client/connect.ts';
import type { Table } from '../../generated/reconciler/v1/tables.ts';
import { formatName } from '../../names.ts';
import { withDeadline } from '../catalog-session/context.ts';
import { catalogIdOf } from '../catalog-session/resolve.ts';
import { bytes, count } from '../io/format.ts';
import { pagesOf } from '../io/paging.ts';
import type { Column } from '../io/table-printer.ts';
import { formatText } from '../table/list.ts';

/** What the catalog contains of one table. */
export interface TableSummary {
  namespace: string;
  table: string;
  format: string;
  snapshots: number;
  /** Files of the current snapshot; absent, like rows and size, for a table without one. */
  files?: bigint;
  rows?: bigint;
  size?: bigint;
}

export const SUMMARY_COLUMNS: Column<TableSummary>[] = [
  { title: 'NAMESPACE', value: (t) => t.namespace, min: 8 },
  { title: 'TABLE', value: (t) => t.table, min: 12 },
  { title: 'FORMAT', value: (t) => t.format, weight: 3 },
  { title: 'SNAPSHOTS', value: (t) => count(t.snapshots), weight: 4, align: 'right' },
  { title: 'FILES', value: (t) => count(t.files), weight: 5, align: 'right' },
  { title: 'ROWS', value: (t) => count(t.rows), weight: 7, align: 'right' },
  { title: 'SIZE', value: (t) => bytes(t.size), weight: 6, align: 'right' },
];

/** All tables of a catalog, with the totals of their current snapshots. Meant for the few tables of the demo. */
export async function summarize(clients: CatalogClients, catalog: string): Promise<TableSummary[]> {
  const { catalogId } = await catalogIdOf(clients, formatName([catalog]));
  const summaries: TableSummary[] = [];
  const namespaces = pagesOf(async (page, call) => {
    const { namespaces, nextPageToken } = await clients.namespaces.listNamespaces({ ...page, catalogId }, call);
    return { items: namespaces, nextPageToken };
  });
  for await (const { namespaceId } of each(namespaces)) {
    const tables = pagesOf(async (page, call) => {
      const { tables, nextPageToken } = await clients.tables.listTables({ ...page, namespaceId }, call);
      return { items: tables, nextPageToken };
    });
    for await (const table of each(tables)) summaries.push(await summaryOf(clients, table));
  }
  return summaries;
}

async function summaryOf(clients: CatalogClients, table: Table): Promise<TableSummary> {
  const { tableId } = table;
  let snapshots = 0;
  const pages = pagesOf(async (page, call) => {
    const { snapshots, nextPageToken } = await clients.snapshots.listSnapshots({ ...page, tableId }, call);
    return { items: snapshots, nextPageToken };
  });
  for await (const page of pages) snapshots += page.length;
  const stats = await clients.statistics.getTableStats({ tableId }, withDeadline()).catch((error) => {
    if (error instanceof ClientError && error.code === Status.NOT_FOUND) return undefined;
    throw error;
  });
  return {
    namespace: formatName(table.namespacePath),
    table: formatName([table.name]),
    format: formatText(table),
    snapshots,
    files: stats && stats.dataFileCount + stats.deleteFileCount,
    rows: stats?.liveRowCount ?? stats?.rowCount,
    size: stats?.totalSizeBytes,
  };
}

async function* each<T>(pages: AsyncIterable<T[]>): AsyncGenerator<T> {
  for await (const page of pages) yield* page;
}
