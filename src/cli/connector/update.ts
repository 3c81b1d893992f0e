import { type Command, Option } from 'commander';
import { Connector, ConnectorState } from '../../generated/reconciler/v1/connectors.ts';
import { withCatalog, withWarnings } from '../catalog-session/context.ts';
import { connectorOf } from '../catalog-session/resolve.ts';
import { UsageError } from '../io/errors.ts';
import { describeConnector } from './describe.ts';
import { type SpecOptions, specOf } from './spec-fields.ts';
import { addSpecOptions } from './spec-options.ts';

const HELP = `
Only the fields that you name change. A map such as --property is replaced as
a whole; an empty value clears the field.

Examples:
  $ reconciler connector update lake --max-parallel 16
  $ reconciler connector update lake --state paused
  $ reconciler connector update lake --interval 15m --source-namespace ''
  $ reconciler connector update lake --cron '0 6 * * mon-fri' \\
      --cron '0 9 * * sat,sun' --time-zone Europe/Vienna
  $ reconciler connector update lake --webhook file:/run/secrets/webhook-url \\
      --webhook-secret env:LAKE_WEBHOOK_KEY
  $ reconciler connector update lake --webhook ''
  $ reconciler connector update lake --no-schedule`;

const STATE_OF = {
  active: ConnectorState.CONNECTOR_STATE_ACTIVE,
  paused: ConnectorState.CONNECTOR_STATE_PAUSED,
};
const STATES = Object.keys(STATE_OF);

export function addUpdate(group: Command): void {
  const command = group.command('update').description('Changes a connector.').argument('<connector>', 'name or id');
  addSpecOptions(command, { kind: false })
    .option('--name <name>', 'new display name')
    .addOption(new Option('--state <state>', 'whether it runs').choices(STATES))
    .option('--etag <etag>', 'fail if the connector has changed since this version')
    .addHelpText('after', HELP)
    .action(
      withCatalog(async ({ clients, out }, name: string, options: SpecOptions & UpdateOptions) => {
        const { connector, paths } = specOf(options);
        if (options.name !== undefined) {
          connector.displayName = options.name;
          paths.push('display_name');
        }
        if (options.state !== undefined) {
          connector.state = STATE_OF[options.state];
          paths.push('state');
        }
        if (paths.length === 0)
          throw new UsageError(
            'no option that changes the connector was given',
            '`reconciler connector update --help` lists the options',
          );
        const { connectorId } = await connectorOf(clients, name);
        const updated = await clients.connectors.updateConnector(
          { connector: { ...connector, connectorId, etag: options.etag }, updateMask: paths },
          withWarnings(out),
        );
        await out.message(Connector, updated, (connector) => describeConnector(connector));
      }),
    );
}

interface UpdateOptions {
  name?: string;
  state?: keyof typeof STATE_OF;
  etag?: string;
}
