import { type Command, Option } from 'commander';
import { stringify } from 'yaml';
import type { CatalogClients } from '../../catalog-client/connect.ts';
import { Connector } from '../../generated/reconciler/v1/connectors.ts';
import type { Schedule } from '../../generated/reconciler/v1/schedules.ts';
import { withCatalog } from '../catalog-session/context.ts';
import { connectorOf } from '../catalog-session/resolve.ts';
import { UsageError } from '../io/errors.ts';
import { declarationOf } from './declaration.ts';
import { describeConnector } from './describe.ts';

const HELP = `
Examples:
  $ reconciler connector get lake
  $ reconciler connector get lake --json | jq .destination
  $ reconciler connector get lake -o yaml > lake.yaml
  $ reconciler apply -f lake.yaml --dry-run`;

const SCHEDULE_TIMEOUT_MS = 5_000;

export function addGet(group: Command): void {
  group
    .command('get')
    .description('Shows one connector.')
    .argument('<connector>', 'name or id')
    .addOption(new Option('-o, --output <format>', 'print it as a file for `reconciler apply`').choices(['yaml']))
    .addHelpText('after', HELP)
    .action(
      withCatalog(async ({ clients, out }, name: string, { output }: { output?: 'yaml' }) => {
        const connector = await connectorOf(clients, name);
        if (output === 'yaml') {
          if (out.json) throw new UsageError('--output yaml and --json exclude each other', 'give only one of them');
          const yaml = stringify(declarationOf(connector), { lineWidth: 0 });
          return out.message(Connector, connector, () => yaml.trimEnd());
        }
        const schedule = out.json ? undefined : await scheduleOf(clients, connector);
        await out.message(Connector, connector, (connector) => describeConnector(connector, schedule));
      }),
    );
}

/** Also undefined if Temporal cannot be reached; the connector is shown without it. */
async function scheduleOf(clients: CatalogClients, { connectorId }: Connector): Promise<Schedule | undefined> {
  const call = { signal: AbortSignal.timeout(SCHEDULE_TIMEOUT_MS) };
  const { schedules } = await clients.schedules.listSchedules({ connectorId }, call).catch(() => ({ schedules: [] }));
  return schedules[0];
}
