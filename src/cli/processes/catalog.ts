import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { readConfig } from '../../config.ts';
import { CodedError } from '../../errors.ts';
import { startTracing } from '../../telemetry/tracing/tracing.ts';
import { addList } from '../catalog/list.ts';
import { addressOption } from '../catalog-session/address.ts';
import { didYouMean, similarTo } from '../io/did-you-mean.ts';
import { UsageError } from '../io/errors.ts';
import { port } from '../io/options.ts';
import { untilStopped } from '../io/signals.ts';

const HELP = `
The catalog service is the only writer of its database. It starts jobs in
Temporal, which it finds by the standard TEMPORAL_* variables and profiles;
Temporal may start later.

Examples:
  $ reconciler catalog
  $ reconciler catalog --address 0.0.0.0:7460 \\
      --database /var/lib/reconciler/catalog.db
  $ TEMPORAL_ADDRESS=temporal.internal:7233 reconciler catalog --port 9000`;

export function define(command: Command): void {
  addList(command);
  command
    // Reported below: commander would only count the arguments.
    .allowExcessArguments()
    .option('--port <port>', 'listen on this port instead of the one in --address', port)
    .option('--database <file>', 'SQLite file (default: catalog.db in RECONCILER_DATA_DIR)')
    .addHelpText('after', `\nHere, --address is the address to listen on.\n${HELP}`)
    .action(async (options: { port?: number; database?: string }) => {
      refuseArguments(command);
      await run(addressOption(command), options);
    });
}

/** A misspelled `catalog list` must not start a service. */
function refuseArguments({ args: [text], commands }: Command): void {
  if (text === undefined) return;
  const question = didYouMean(
    similarTo(
      text,
      commands.map((each) => each.name()),
    ),
  );
  throw new UsageError(
    `unknown command '${text}'${question ? `; ${question}` : ''}`,
    '`reconciler catalog` alone runs the catalog service; add --help to see its commands',
  );
}

async function run(listenOn: string | undefined, options: { port?: number; database?: string }): Promise<void> {
  // The files that this process creates contain what the upstreams' catalogs contain: other users must not read them.
  process.umask(0o077);
  const { stopped } = untilStopped();
  const config = readConfig();
  const [
    { startCatalog },
    { anyone },
    { temporalJobControl },
    { connectTemporal },
    { openPayloadCodec },
    { createLogger },
    { createOutageLog },
    { logOutages },
    { temporalSettings },
  ] = await Promise.all([
    import('../../catalog/server/server.ts'),
    import('../../catalog/auth/authorize-middleware.ts'),
    import('../../temporal/job-control.ts'),
    import('../../temporal/connect.ts'),
    import('../../temporal/payload-codec.ts'),
    import('../../telemetry/logger.ts'),
    import('../../telemetry/outage-log.ts'),
    import('../../temporal/log-outages.ts'),
    import('../../temporal/settings.ts'),
  ]);
  // Temporal may start later, but its settings must be right now.
  temporalSettings();
  const base = listenOn ?? config.address;
  const address = options.port === undefined ? base : `${base.slice(0, base.lastIndexOf(':'))}:${options.port}`;
  const databaseFile = resolve(options.database ?? join(config.dataDir, 'catalog.db'));
  const logger = createLogger('catalog', config.logLevel);
  const tracing = await startTracing('reconciler-catalog');
  const codec = await openPayloadCodec(config.codecKeys);
  const outages = createOutageLog(logger, 'Temporal');
  const jobs = logOutages(
    temporalJobControl(() => connectTemporal(codec), config.temporalUi),
    outages,
  );
  const catalog = await startCatalog({ ...config, address, databaseFile, authenticate: anyone, jobs, logger });
  logger.info({ address: catalog.address, databaseFile }, 'the catalog service is listening');
  const end = await Promise.race([stopped, catalog.failed]);
  logger.info(typeof end === 'string' ? { signal: end } : {}, 'stopping');
  outages.stop();
  await catalog.stop();
  await tracing?.close();
  if (end instanceof Error) throw new CodedError('FAILED_PRECONDITION', end.message);
  // The SDK goes on with calls that wait for Temporal: they would delay the exit, or fail it if their connection was closed.
  process.exit(0);
}
