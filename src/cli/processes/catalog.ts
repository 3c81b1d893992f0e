import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { hostPortOf, readConfig } from '../../config.ts';
import { CodedError } from '../../errors.ts';
import { recordServing } from '../../stack/serving-file.ts';
import { startTracing } from '../../telemetry/tracing/tracing.ts';
import { addList } from '../catalog/list.ts';
import { addressOption } from '../catalog-session/address.ts';
import { didYouMean, similarTo } from '../io/did-you-mean.ts';
import { UsageError } from '../io/errors.ts';
import { port } from '../io/options.ts';
import { untilStopped } from '../io/signals.ts';
import { checkExposure } from './exposure.ts';

const HELP = `
The catalog service is the only writer of its database. It starts jobs in
Temporal, which it finds by the standard TEMPORAL_* variables and profiles;
Temporal may start later.

Calls need a token. At its first start, the service keeps the one of its owner
in the file \`token\` of RECONCILER_DATA_DIR. It listens beyond this machine only
with TLS (RECONCILER_TLS_CERT and RECONCILER_TLS_KEY).

Examples:
  $ reconciler catalog
  $ RECONCILER_TLS_CERT=catalog.crt RECONCILER_TLS_KEY=catalog.key \\
      reconciler catalog --address 0.0.0.0:7460 \\
      --database /var/lib/reconciler/catalog.db
  $ TEMPORAL_ADDRESS=temporal.internal:7233 reconciler catalog --port 9000`;

export function define(command: Command): void {
  addList(command);
  command
    // Reported below: commander would only count the arguments.
    .allowExcessArguments()
    .option('--port <port>', 'listen on this port instead of the one in --address', port)
    .option('--database <file>', 'SQLite file (default: catalog.db in RECONCILER_DATA_DIR)')
    .option('--insecure-no-auth', 'for experiments: everybody on this machine may do everything')
    .option('--insecure-plaintext', 'listen beyond this machine without TLS: for service meshes that encrypt')
    .addHelpText('after', `\nHere, --address is the address to listen on.\n${HELP}`)
    .action(async (options: CatalogOptions) => {
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

interface CatalogOptions {
  port?: number;
  database?: string;
  insecureNoAuth?: boolean;
  insecurePlaintext?: boolean;
}

async function run(listenOn: string | undefined, options: CatalogOptions): Promise<void> {
  // The files that this process creates contain what the upstreams' catalogs contain: other users must not read them.
  process.umask(0o077);
  const { stopped } = untilStopped();
  const config = readConfig();
  const [
    { startCatalog },
    { anyone },
    { readIssuers },
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
    import('../../catalog/auth/oidc/issuers-file.ts'),
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
  const base = hostPortOf(listenOn ?? config.address);
  const address = options.port === undefined ? base : `${base.slice(0, base.lastIndexOf(':'))}:${options.port}`;
  const insecure = checkExposure({
    address,
    hasTls: config.tls !== undefined,
    noAuth: options.insecureNoAuth ?? false,
    plaintext: options.insecurePlaintext ?? false,
  });
  const databaseFile = resolve(options.database ?? join(config.dataDir, 'catalog.db'));
  const logger = createLogger('catalog', config.logLevel);
  for (const warning of insecure) logger.warn(warning);
  const tokens = {
    ownerTokenFile: resolve(config.dataDir, 'token'),
    issuers: config.oidcFile === undefined ? [] : await readIssuers(config.oidcFile),
  };
  const authenticate = options.insecureNoAuth ? anyone : tokens;
  const tracing = await startTracing('reconciler-catalog');
  const codec = await openPayloadCodec(config.codecKeys);
  const outages = createOutageLog(logger, 'Temporal');
  const jobsOn = (namespace?: string) =>
    logOutages(
      temporalJobControl(() => connectTemporal(codec, namespace), config.temporalUi),
      outages,
    );
  const temporal = { jobs: jobsOn(), jobsIn: async (namespace: string) => jobsOn(namespace) };
  const catalog = await startCatalog({ ...config, address, databaseFile, authenticate, ...temporal, logger });
  // Before the first call is served: clients with the owner's token send it only to this address.
  const forget = recordServing(config.dataDir, catalog.address);
  logger.info({ address: catalog.address, databaseFile }, 'the catalog service is listening');
  const end = await Promise.race([stopped, catalog.failed]);
  logger.info(typeof end === 'string' ? { signal: end } : {}, 'stopping');
  outages.stop();
  forget();
  await catalog.stop();
  await tracing?.close();
  if (end instanceof Error) throw new CodedError('FAILED_PRECONDITION', end.message);
  // The SDK goes on with calls that wait for Temporal: they would delay the exit, or fail it if their connection was closed.
  process.exit(0);
}
