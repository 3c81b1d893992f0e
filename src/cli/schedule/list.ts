import type { Command } from 'commander';
import { Schedule } from '../../generated/reconciler/v1/schedules.ts';
import { withCatalog } from '../catalog-session/context.ts';
import { connectorOf } from '../catalog-session/resolve.ts';
import { limitOption } from '../io/options.ts';
import { pagesOf } from '../io/paging.ts';
import { SCHEDULE_COLUMNS } from './columns.ts';

const HELP = `
A schedule belongs to its connector: \`connector create --interval\` or \`--cron\`
creates it. STATUS is ok if the schedule in Temporal matches the connector;
\`reconciler schedule repair\` corrects those that are missing, different or
surplus. A foreign one belongs to another catalog that uses the same Temporal
namespace, and is left alone. If that catalog no longer exists, delete it with
\`temporal schedule delete --schedule-id reconcile-CONNECTOR_ID\`.

Examples:
  $ reconciler schedule list
  $ reconciler schedule list --connector lake
  $ reconciler schedule list --json \\
      | jq -r 'select(.status != "SCHEDULE_STATUS_OK") | .scheduleId'`;

export function addList(group: Command): void {
  group
    .command('list')
    .description('Lists the schedules of connectors in Temporal, sorted by connector.')
    .option('--connector <connector>', 'only the schedule of this connector (name or id)')
    .addOption(limitOption())
    .addHelpText('after', HELP)
    .action(
      withCatalog(async ({ clients, out }, { connector, limit }: { connector?: string; limit?: number }) => {
        const connectorId = connector === undefined ? '' : (await connectorOf(clients, connector)).connectorId;
        const pages = pagesOf(async (page, call) => {
          const { schedules, nextPageToken } = await clients.schedules.listSchedules({ ...page, connectorId }, call);
          return { items: schedules, nextPageToken };
        }, limit);
        await out.list(Schedule, pages, SCHEDULE_COLUMNS, {
          empty: 'no schedules; add one with `reconciler connector update NAME --interval 15m`',
        });
      }),
    );
}
