import type { Command } from 'commander';
import { TableStats } from '../../generated/reconciler/v1/statistics.ts';
import { withCatalog, withDeadline } from '../catalog-session/context.ts';
import { tableIdOf } from '../catalog-session/resolve.ts';
import { details } from '../io/details.ts';
import { bytes, count, time } from '../io/format.ts';
import { snapshotOption } from '../io/options.ts';

const HELP = `
'rows' is the sum of the record counts of the data files. 'live rows' is what a
reader sees after position deletes and deletion vectors; it is unknown if the
metadata does not contain enough to compute it.

Examples:
  $ reconciler stats table main.sales.orders
  $ reconciler stats table main.sales.orders --snapshot 42 --json`;

export function addTable(group: Command): void {
  group
    .command('table')
    .description('Shows the totals of a table at one snapshot.')
    .argument('<table>', 'catalog.namespace.table')
    .addOption(snapshotOption())
    .addHelpText('after', HELP)
    .action(
      withCatalog(async ({ clients, out }, table: string, { snapshot }: { snapshot?: bigint }) => {
        const tableId = await tableIdOf(clients, table);
        const stats = await clients.statistics.getTableStats({ tableId, snapshotId: snapshot }, withDeadline());
        await out.message(TableStats, stats, describeStats);
      }),
    );
}

function describeStats(stats: TableStats): string[] {
  const deletes: [string, string | undefined][] = [
    ['position deletes', filesAndRows(stats.positionDeleteFileCount, stats.positionDeleteRecordCount)],
    ['deletion vectors', filesAndRows(stats.deletionVectorCount, stats.deletionVectorRecordCount)],
    ['equality deletes', filesAndRows(stats.equalityDeleteFileCount, stats.equalityDeleteRecordCount)],
  ];
  return details([
    ['snapshot', stats.snapshotId.toString()],
    ['rows', stats.rowCount === undefined ? 'unknown' : count(stats.rowCount)],
    ['live rows', stats.liveRowCount === undefined ? 'unknown' : count(stats.liveRowCount)],
    ['data files', count(stats.dataFileCount)],
    ['delete files', count(stats.deleteFileCount)],
    ...deletes,
    ['size', `${bytes(stats.totalSizeBytes)} (data ${bytes(stats.dataSizeBytes)})`],
    ['distinct rows', stats.ndv === undefined ? undefined : count(stats.ndv)],
    ['fetched', time(stats.fetchedAt)],
  ]);
}

function filesAndRows(files: bigint, rows: bigint): string | undefined {
  return files === 0n ? undefined : `${count(files)} with ${count(rows)} rows`;
}
