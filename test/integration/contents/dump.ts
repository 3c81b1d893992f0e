import { createHash } from 'node:crypto';
import type { CatalogClients } from '../../../src/catalog-client/connect.ts';

/**
 * Returns the stored content of a destination catalog by table name: snapshots, files and statistics, without ids and times that the
 * catalog itself assigns. Two runs that ingested the same content have equal dumps.
 */
export async function dumpCatalog(clients: CatalogClients, catalogName: string): Promise<Record<string, string>> {
  const { catalogId } = await clients.directory.resolve({ name: { $case: 'text', value: catalogName } });
  const dump: Record<string, string> = {};
  for (const namespace of (await clients.namespaces.listNamespaces({ catalogId, pageSize: 1000 })).namespaces) {
    let pageToken = '';
    do {
      const page = await clients.tables.listTables({ namespaceId: namespace.namespaceId, pageSize: 1000, pageToken });
      for (const { tableId, name } of page.tables) {
        dump[[...namespace.path, name].join('/')] = await dumpTable(clients, tableId);
      }
      pageToken = page.nextPageToken;
    } while (pageToken);
  }
  return dump;
}

async function dumpTable(clients: CatalogClients, tableId: string): Promise<string> {
  const table = await clients.tables.getTable({ tableId });
  const lines: unknown[] = [
    table.currentSnapshotId,
    table.refs,
    table.properties,
    table.schema,
    table.metadataLocation,
  ];
  const { snapshots } = await clients.snapshots.listSnapshots({ tableId, pageSize: 1000, showExpired: true });
  for (const snapshot of snapshots) {
    const { snapshotId } = snapshot;
    lines.push({ ...snapshot, tableId: '', fetchedAt: undefined, expiredAt: snapshot.expiredAt && 'expired' });
    if (!snapshot.captured) continue;
    const stats = await clients.statistics.getTableStats({ tableId, snapshotId });
    lines.push({ ...stats, tableId: '', fetchedAt: undefined });
    const files: string[] = [];
    for await (const chunk of clients.statistics.streamFileColumnStats({ tableId, snapshotId })) {
      for (const file of chunk.files) files.push(json(file));
    }
    lines.push(files.sort());
    lines.push((await clients.statistics.listColumnStats({ tableId, snapshotId, pageSize: 1000 })).columns);
  }
  return `${snapshots.length} snapshots ${createHash('sha256').update(json(lines)).digest('hex')}`;
}

function json(value: unknown): string {
  return JSON.stringify(value, (_, v) => (typeof v === 'bigint' ? String(v) : v));
}
