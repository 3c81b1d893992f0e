import type { Command } from 'commander';
import { standardOutput } from '../io/output.ts';

const HELP = `
Run it once per Temporal namespace, before or after workers start; running it
again changes nothing. \`reconciler up\` does it automatically. Temporal is found
by the standard TEMPORAL_* variables and profiles. Without the attributes, jobs
run but cannot be listed by connector.

Examples:
  $ TEMPORAL_ADDRESS=temporal.internal:7233 TEMPORAL_NAMESPACE=data \\
      reconciler setup
  $ temporal workflow list --query \\
      "ReconcilerConnector = 'lake' AND ReconcilerOutcome = 'JS_FAILED'"`;

export function define(command: Command): void {
  command
    .description("Registers the Reconciler's search attributes in Temporal and checks the namespace.")
    .addHelpText('after', HELP)
    .action(async (_options, command: Command) => {
      const [{ connectTemporal }, { registerSearchAttributes }] = await Promise.all([
        import('../../temporal/connect.ts'),
        import('../../temporal/search-attributes-registered.ts'),
      ]);
      const client = await connectTemporal();
      try {
        const out = standardOutput(command.optsWithGlobals<{ json?: boolean }>().json === true);
        await out.message({ toJSON: (result) => result }, await registerSearchAttributes(client), (result) => [
          `namespace ${result.namespace}${retentionText(result.retentionSeconds)}`,
          ...result.searchAttributes.map(({ name, added }) => `${added ? 'registered' : 'already there'}  ${name}`),
        ]);
      } finally {
        await client.connection.close();
      }
    });
}

/** Empty if the retention is not known. */
function retentionText(seconds: number | undefined): string {
  if (seconds === undefined) return '';
  const time = seconds % 86_400 === 0 ? `${seconds / 86_400} d` : `${+(seconds / 3_600).toFixed(1)} h`;
  return ` keeps histories for ${time} after a run has ended`;
}
