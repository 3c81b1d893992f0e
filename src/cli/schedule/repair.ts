import type { Command } from 'commander';
import { RepairSchedulesResponse } from '../../generated/reconciler/v1/schedules.ts';
import { withCatalog, withDeadline } from '../catalog-session/context.ts';
import { count } from '../io/format.ts';
import { TablePrinter } from '../io/table-printer.ts';
import { SCHEDULE_COLUMNS } from './columns.ts';

const HELP = `
The connectors are right: schedules that Temporal lacks are made, those that say something else are changed, and those of connectors that
are gone are removed. Other schedules of the namespace are not touched. The catalog does the same whenever it starts.

Examples:
  $ reconciler schedule repair
  $ reconciler schedule repair --json | jq .changed`;

export function addRepair(group: Command): void {
  group
    .command('repair')
    .description("Brings Temporal's schedules in line with the connectors, and shows what was found wrong.")
    .addHelpText('after', HELP)
    .action(
      withCatalog(async ({ clients, out }) => {
        const response = await clients.schedules.repairSchedules({}, withDeadline());
        await out.message(RepairSchedulesResponse, response, ({ repaired, made, changed, removed, unchanged }) => {
          const found = new TablePrinter(SCHEDULE_COLUMNS, process.stdout).render(repaired).trimEnd();
          const counts = `${count(made)} made, ${count(changed)} changed, ${count(removed)} removed, ${count(unchanged)} right already`;
          return found === '' ? counts : [found, counts];
        });
      }),
    );
}
