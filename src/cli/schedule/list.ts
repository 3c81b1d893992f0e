import type { Command } from 'commander';
import { Schedule } from '../../generated/reconciler/v1/schedules.ts';
import { withCatalog } from '../catalog-session/context.ts';
import { connectorOf } from '../catalog-session/resolve.ts';
import { limitOption } from '../io/options.ts';
import { pagesOf } from '../io/paging.ts';
import { SCHEDULE_COLUMNS } from './columns.ts';

const HELP = `
A schedule is made with its connector: \`connector create --interval\` or \`--cron\`. STANDING is ok where Temporal has what the connector
says; missing, different or surplus is put right by \`reconciler schedule repair\`.

Examples:
  $ reconciler schedule list
  $ reconciler schedule list --connector lake
  $ reconciler schedule list --json | jq -r 'select(.standing != "SCHEDULE_STATUS_OK") | .scheduleId'`;

export function addList(group: Command): void {
  group
    .command('list')
    .description('Lists the schedules of connectors as Temporal has them, by connector.')
    .option('--connector <connector>', 'only the schedule of this one (name or id)')
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
          empty: 'no schedule; give a connector one with `reconciler connector update NAME --interval 15m`',
        });
      }),
    );
}
