import type { Command } from 'commander';
import { ValidateConnectorResponse } from '../../generated/reconciler/v1/connectors.ts';
import { withCatalog, withDeadline } from '../catalog-session/context.ts';
import { connectorOf } from '../catalog-session/resolve.ts';
import { asTyped } from '../io/as-typed.ts';
import { widthOf } from '../io/colour.ts';
import { wrap } from '../io/display-width.ts';
import { EXIT, ExitCode, UsageError } from '../io/errors.ts';
import { printable } from '../io/format.ts';
import { explainIfSlow } from '../io/slow-call.ts';
import { type SpecOptions, specOf } from './spec-fields.ts';
import { addSpecOptions, requireUri } from './spec-options.ts';

const HELP = `
A worker opens the upstream, lists a page of tables and reads one of them as a
job would: its metadata and the manifest list of its current snapshot. It
reports what it found and read, or whether the address, the credentials, a
permission, a setting, the warehouse or the namespace is wrong. Without a name,
the options describe a connector that is not stored. The exit code is 1 if
anything is wrong.

Examples:
  $ reconciler connector validate lake
  $ reconciler connector validate --kind iceberg --uri file:///some/warehouse
  $ reconciler connector validate --kind glue --uri glue://eu-west-1 \\
      --source-namespace sales`;

const WAITING = 'waiting for a worker, which opens the upstream; `reconciler worker` starts one if none is running';

export function addValidate(group: Command): void {
  const command = group
    .command('validate')
    .description('Tests a connector without changing anything.')
    .argument('[connector]', 'name or id');
  addSpecOptions(command, { kind: true })
    .addHelpText('after', HELP)
    .action(
      withCatalog(async ({ clients, out }, name: string | undefined, options: SpecOptions) => {
        const { connector, paths } = specOf(options);
        if (name !== undefined && (paths.length > 0 || options.kind)) {
          throw new UsageError(
            'a stored connector cannot be combined with options of a new one',
            'give either its name, or the options',
          );
        }
        if (name === undefined) {
          if (!options.kind) throw new UsageError('give the name of a stored connector, or --kind and --uri');
          requireUri(options);
        }
        const target =
          name === undefined
            ? ({ $case: 'connector', value: { displayName: 'unnamed', ...connector } } as const)
            : ({ $case: 'connectorId', value: (await connectorOf(clients, name)).connectorId } as const);
        const call = clients.connectors.validateConnector({ target }, withDeadline());
        const result = await explainIfSlow(out, call, WAITING);
        await out.message(ValidateConnectorResponse, result, ({ ok, summary, sampleTables }) => [
          ...wrap(`${ok ? 'ok' : 'wrong'}: ${asTyped(printable(summary))}`, widthOf(process.stdout)),
          ...sampleTables.map((table) => `  ${printable(table)}`),
        ]);
        if (!result.ok) throw new ExitCode(EXIT.FAILED);
      }),
    );
}
