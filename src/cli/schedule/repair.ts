import type { Command } from 'commander';
import { RepairSchedulesResponse } from '../../generated/reconciler/v1/schedules.ts';
import { withCatalog, withDeadline } from '../catalog-session/context.ts';
import { count } from '../io/format.ts';
import { TablePrinter } from '../io/table-printer.ts';
import { SCHEDULE_COLUMNS } from './columns.ts';

const HELP = `
The connectors are the source of truth: schedules that Temporal lacks are
created, those that differ are changed, and those of deleted connectors are
removed. Other schedules of the Temporal namespace, also those of connectors of
another catalog, are not touched. The catalog service does the same whenever it
starts.

Examples:
  $ reconciler schedule repair
  $ reconciler schedule repair --json | jq .changed`;

export function addRepair(group: Command): void {
  group
    .command('repair')
    .description("Makes Temporal's schedules match the connectors, and lists what was wrong.")
    .addHelpText('after', HELP)
    .action(
      withCatalog(async ({ clients, out }) => {
        const response = await clients.schedules.repairSchedules({}, withDeadline());
        await out.message(RepairSchedulesResponse, response, ({ repaired, foreign, ...counted }) => {
          const table = new TablePrinter(SCHEDULE_COLUMNS, process.stdout).render(repaired).trimEnd();
          const { made, changed, removed, unchanged } = counted;
          const others = foreign > 0n ? `, ${count(foreign)} of another catalog left alone` : '';
          const counts = `${count(made)} created, ${count(changed)} changed, ${count(removed)} removed, ${count(unchanged)} already correct${others}`;
          return table === '' ? counts : [table, counts];
        });
      }),
    );
}
