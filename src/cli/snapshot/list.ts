import type { Command } from 'commander';
import { Snapshot } from '../../generated/reconciler/v1/snapshots.ts';
import { withCatalog } from '../catalog-session/context.ts';
import { tableIdOf } from '../catalog-session/resolve.ts';
import type { Tone } from '../io/colour.ts';
import { NONE, time } from '../io/format.ts';
import { limitOption } from '../io/options.ts';
import { pagesOf } from '../io/paging.ts';

const HELP = `
Examples:
  $ reconciler snapshot list main.sales.orders --limit 10
  $ reconciler snapshot list main.sales.orders --expired --json \\
      | jq -r .snapshotId`;

export function addList(group: Command): void {
  group
    .command('list')
    .description("Lists a table's snapshots, beginning with the one that was ingested last.")
    .argument('<table>', 'catalog.namespace.table')
    .option('--expired', 'include snapshots that have expired upstream')
    .addOption(limitOption())
    .addHelpText('after', HELP)
    .action(
      withCatalog(
        async ({ clients, out }, table: string, { expired, limit }: { expired?: boolean; limit?: number }) => {
          const tableId = await tableIdOf(clients, table);
          const pages = pagesOf(async (page, call) => {
            const request = { ...page, tableId, showExpired: expired, newestFirst: true };
            const { snapshots, nextPageToken } = await clients.snapshots.listSnapshots(request, call);
            return { items: snapshots, nextPageToken };
          }, limit);
          await out.list(
            Snapshot,
            pages,
            [
              { title: 'SNAPSHOT', value: (s) => s.snapshotId.toString(), align: 'right' },
              { title: 'PARENT', value: (s) => s.parentSnapshotId?.toString() ?? NONE, weight: 3, align: 'right' },
              { title: 'SEQ', value: (s) => s.sequenceNumber.toString(), weight: 6, align: 'right' },
              { title: 'COMMITTED', value: (s) => time(s.committedAt), weight: 9 },
              { title: 'OPERATION', value: (s) => s.operation || NONE, weight: 8 },
              { title: 'SCHEMA', value: (s) => s.schemaId?.toString() ?? NONE, weight: 4, align: 'right' },
              { title: 'REFS', value: (s) => s.refs.join(', ') || NONE, weight: 7, min: 8 },
              { title: 'STATUS', value: marks, tone: marksTone },
            ],
            { empty: 'the table has no snapshots' },
          );
        },
      ),
    );
}

const marks = ({ current, expiredAt, captured, unreadable }: Snapshot) => {
  const files = captured ? '' : unreadable ? 'unreadable' : 'not captured';
  return [current ? 'current' : '', expiredAt ? 'expired' : '', files].filter(Boolean).join(', ');
};

const marksTone = ({ current, unreadable }: Snapshot): Tone | undefined => {
  if (unreadable) return 'bad';
  return current ? 'good' : undefined;
};
