import type { Command } from 'commander';
import { ColumnStats } from '../../generated/reconciler/v1/statistics.ts';
import { withCatalog } from '../catalog-session/context.ts';
import { tableIdOf } from '../catalog-session/resolve.ts';
import { bytes, count, NONE } from '../io/format.ts';
import { columnsOption, limitOption, snapshotOption } from '../io/options.ts';
import { pagesOf } from '../io/paging.ts';

const HELP = `
A count is shown only if every live data file has one; a bound only if every
live data file with values has one. '-' means unknown, not 0. NDV is the number
of distinct values; ~ marks an estimate.

Examples:
  $ reconciler stats columns main.sales.orders
  $ reconciler stats columns main.sales.orders --columns id,address.city \\
      --snapshot 42 --json`;

export function addColumns(group: Command): void {
  group
    .command('columns')
    .description('Lists the column statistics of one snapshot, over its live data files.')
    .argument('<table>', 'catalog.namespace.table')
    .addOption(snapshotOption())
    .addOption(columnsOption())
    .addOption(limitOption())
    .addHelpText('after', HELP)
    .action(
      withCatalog(
        async ({ clients, out }, table: string, options: { snapshot?: bigint; columns?: string[]; limit?: number }) => {
          const selected = {
            tableId: await tableIdOf(clients, table),
            snapshotId: options.snapshot,
            columns: options.columns,
          };
          const pages = pagesOf(async (page, call) => {
            const { columns, nextPageToken } = await clients.statistics.listColumnStats({ ...page, ...selected }, call);
            return { items: columns, nextPageToken };
          }, options.limit);
          await out.list(
            ColumnStats,
            pages,
            [
              { title: 'ID', value: (c) => String(c.columnId), weight: 3, align: 'right' },
              { title: 'COLUMN', value: (c) => c.columnName + (c.dropped ? ' (dropped)' : ''), min: 16 },
              { title: 'TYPE', value: (c) => c.logicalType, weight: 8, min: 10 },
              { title: 'VALUES', value: (c) => count(c.valueCount), weight: 2, align: 'right' },
              { title: 'NULLS', value: (c) => count(c.nullCount), weight: 9, align: 'right' },
              { title: 'NANS', value: (c) => count(c.nanCount), weight: 1, align: 'right' },
              { title: 'NDV', value: (c) => ndvText(c.ndv), weight: 5, align: 'right' },
              { title: 'MIN', value: (c) => boundText(c.min), weight: 7, min: 10 },
              { title: 'MAX', value: (c) => boundText(c.max), weight: 6, min: 10 },
              { title: 'SIZE', value: (c) => bytes(c.sizeInBytes), weight: 4, align: 'right' },
            ],
            { empty: 'no columns' },
          );
        },
      ),
    );
}

/** A bound; of a time, without a fraction of zeros, and UTC as `Z`. */
function boundText(bound: string | undefined): string {
  return bound?.replace(/(T\d\d:\d\d:\d\d)\.0+(?=$|[+-])/, '$1').replace(/(T[\d:.]+)\+00:00$/, '$1Z') ?? NONE;
}

/** `1,234`, or `~1,234` for an estimate. */
function ndvText(ndv: ColumnStats['ndv']): string {
  if (ndv?.exact !== undefined) return count(ndv.exact);
  return ndv?.estimate === undefined ? NONE : `~${count(Math.round(ndv.estimate))}`;
}
