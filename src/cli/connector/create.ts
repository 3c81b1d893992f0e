import { randomUUID } from 'node:crypto';
import type { Command } from 'commander';
import { Connector } from '../../generated/reconciler/v1/connectors.ts';
import { shellWord } from '../../text.ts';
import { withCatalog, withWarnings } from '../catalog-session/context.ts';
import { describeConnector } from './describe.ts';
import { type SpecOptions, specOf } from './spec-fields.ts';
import { addSpecOptions, requireUri } from './spec-options.ts';

const HELP = `
This stores the connector and reads nothing. \`connector validate\` tests the
upstream, \`connector trigger\` reconciles it. The destination catalog and its
namespaces are created if they do not exist. Secrets are passed by reference;
only workers read them.

Examples:
  $ reconciler connector create lake --kind iceberg \\
      --uri file:///some/warehouse --destination-catalog main
  $ reconciler connector create orders --kind iceberg \\
      --uri file:///some/warehouse --destination-catalog main \\
      --source-namespace sales --source-table orders --max-parallel 4
  $ reconciler connector create sales --kind iceberg \\
      --uri file:///some/warehouse --destination-catalog main \\
      --include-namespaces 'sales,sales_*' --exclude-tables '**.tmp_*'
  $ reconciler connector create nightly --kind iceberg \\
      --uri file:///some/warehouse --destination-catalog main \\
      --cron '0 3 * * *' --time-zone Europe/Vienna --jitter 10m
  $ reconciler connector create rest --kind iceberg \\
      --uri https://catalog.example.com --destination-catalog main \\
      --auth-scheme oauth2 --secret-ref env:CATALOG_CREDENTIAL \\
      --property warehouse=prod
  $ reconciler connector create watched --kind iceberg \\
      --uri file:///some/warehouse --destination-catalog main \\
      --interval 15m --webhook https://hooks.example.com/lake \\
      --webhook-secret env:LAKE_WEBHOOK_KEY
  $ reconciler connector create demo-glue --kind glue --uri glue://eu-west-1 \\
      --destination-catalog main
  $ reconciler connector create other-glue --kind glue \\
      --property glue.region=eu-west-1 --destination-catalog main \\
      --property glue.id=123456789012 \\
      --property client.assume-role.arn=arn:aws:iam::123456789012:role/reader
  $ reconciler connector create databricks --kind unity \\
      --uri https://dbc-1234.cloud.databricks.com --property catalog=main \\
      --auth-scheme oauth2 --secret-ref env:DATABRICKS_PRINCIPAL \\
      --destination-catalog databricks`;

export function addCreate(group: Command): void {
  const command = group.command('create').description('Stores a connector: the description of an upstream catalog.');
  addSpecOptions(command.argument('<name>', 'display name; must be unique'), { kind: true })
    .addHelpText('after', HELP)
    .action(
      withCatalog(async ({ clients, out }, name: string, options: SpecOptions) => {
        requireUri(options);
        const { connector } = specOf(options);
        const created = await clients.connectors.createConnector(
          { connector: { ...connector, displayName: name }, idempotencyKey: randomUUID() },
          withWarnings(out),
        );
        await out.message(Connector, created, (connector) => describeConnector(connector));
        out.note(`\nnext: reconciler connector trigger ${shellWord(name)} --wait`);
      }),
    );
  for (const required of ['--kind', '--destination-catalog']) {
    const option = command.options.find(({ long }) => long === required);
    option?.makeOptionMandatory();
  }
}
