import { createServer, type Server } from 'nice-grpc';
import { errorDetailsServerMiddleware } from 'nice-grpc-error-details';
import { HealthDefinition, HealthServiceImpl, HealthState } from 'nice-grpc-server-health';
import { ServerReflection, ServerReflectionService } from 'nice-grpc-server-reflection';
import type { Logger } from 'pino';
import type { JobControl } from '../../contract/job-control.ts';
import { CodedError } from '../../errors.ts';
import { serveHealth } from '../../telemetry/http/health.ts';
import { type HttpEndpoint, serveHttp } from '../../telemetry/http/http-endpoint.ts';
import { currentTracing } from '../../telemetry/tracing/tracing.ts';
import { createDeletions } from '../connectors/delete-connector.ts';
import { type CatalogMetrics, createCatalogMetrics } from '../core/metrics.ts';
import type { ServiceDeps } from '../core/ports.ts';
import { createLostJobs } from '../jobs/lost-jobs.ts';
import { createJobObserver } from '../jobs/observe-jobs.ts';
import { errorMiddleware } from '../rpc/error-middleware.ts';
import { withWideWindow } from '../rpc/flow-control.ts';
import { timeCalls, traceCalls } from '../rpc/observe-middleware.ts';
import { createScheduleKeeper } from '../schedules/schedule-keeper.ts';
import { createPurge } from '../store/cleanup/purge.ts';
import { type Database, openDatabase } from '../store/database/database.ts';
import { lockDatabase } from '../store/database/database-lock.ts';
import { discardReplacements } from '../store/ingest/replace-stream.ts';
import { readDescriptorSet } from './descriptor-set.ts';
import { addServices, SERVICE_NAMES } from './services.ts';

export interface CatalogOptions {
  /** host:port; port 0 takes a free one. */
  address: string;
  /** A path, or `:memory:`. */
  databaseFile: string;
  /** Temporal; a function is called when it is first needed, and again after it failed. */
  jobs: JobControl | (() => Promise<JobControl>);
  logger: Logger;
  /** Where `/metrics`, and `/healthz` and `/readyz`, are served, host:port. */
  metricsAddress?: string;
  healthAddress?: string;
}

export interface RunningCatalog {
  /** With the real ports. */
  address: string;
  metricsAddress?: string;
  healthAddress?: string;
  /** Takes no new calls, lets the running ones end (for at most 10 s), then closes the database. */
  stop(): Promise<void>;
}

/** Streams carry chunks of about 1 MiB; a client that sends larger ones is told so by gRPC itself. */
const MAX_RECEIVE_BYTES = 8 * 1024 * 1024;
/** Calls that have not ended by then are cut off when the service stops. */
const DRAIN_MS = 10_000;

/**
 * Starts the catalog service.
 *
 * @throws CodedError UNAVAILABLE where an address cannot be listened on or the database cannot be opened,
 *   FAILED_PRECONDITION where a newer version has written the database, or another service serves it
 */
export async function startCatalog(options: CatalogOptions): Promise<RunningCatalog> {
  const { logger } = options;
  const lock = await lockDatabase(options.databaseFile, {
    onWait: () => logger.warn({ database: options.databaseFile }, 'waits for another catalog service to end'),
  });
  const database = await openDatabase(options.databaseFile).catch((error) => {
    lock.release();
    throw error;
  });
  const purge = createPurge(database.db, logger);
  const temporal = lazyJobs(options.jobs);
  const metrics = options.metricsAddress === undefined ? undefined : createCatalogMetrics(database);
  const observeJob = createJobObserver(logger, metrics);
  const aside: Aside = {};
  let serving = false;
  const { db } = database;
  const schedules = createScheduleKeeper({ db, jobs: temporal.get, logger });
  const parts = { db, database, logger, jobs: temporal.get, schedules, purge: purge.kick, observeJob };
  const deletions = createDeletions(parts);
  const lostJobs = createLostJobs(parts);
  const deps: ServiceDeps = { ...parts, deletions };
  try {
    await discardReplacements(db);
    const health = HealthState();
    const server = buildServer(deps, health, metrics);
    await serveAside(aside, options, { metrics, database, isServing: () => serving });
    const port = await listen(server, options.address);
    serving = true;
    for (const name of SERVICE_NAMES) health.setStatus('healthy', name);
    purge.kick();
    deletions.resume();
    const address = `${options.address.slice(0, options.address.lastIndexOf(':'))}:${port}`;
    logger.info({ address, database: options.databaseFile }, 'catalog service listens');
    let stopped: Promise<void> | undefined;
    const stop = async (): Promise<void> => {
      serving = false;
      for (const name of ['', ...SERVICE_NAMES]) health.setStatus('unhealthy', name);
      await drain(server, logger);
      deletions.stop();
      lostJobs.stop();
      schedules.stop();
      await purge.stop();
      await temporal.close();
      await closeAside(aside);
      await database.close();
      lock.release();
      logger.info({ address }, 'catalog service has stopped');
    };
    return {
      address,
      metricsAddress: aside.metrics?.address,
      healthAddress: aside.health?.address,
      stop: () => (stopped ??= stop()),
    };
  } catch (error) {
    await closeAside(aside);
    lostJobs.stop();
    schedules.stop();
    await purge.stop();
    await database.close();
    lock.release();
    throw error;
  }
}

/** What orchestrators and Prometheus ask, on addresses of their own. */
interface Aside {
  metrics?: HttpEndpoint;
  health?: HttpEndpoint;
}

async function closeAside({ metrics, health }: Aside): Promise<void> {
  await Promise.all([metrics?.close(), health?.close()]);
}

async function serveAside(
  aside: Aside,
  { metricsAddress, healthAddress }: CatalogOptions,
  from: { metrics: CatalogMetrics | undefined; database: Database; isServing: () => boolean },
): Promise<void> {
  const { metrics, database, isServing } = from;
  if (healthAddress !== undefined) {
    const checks = {
      async serving() {
        if (!isServing()) throw new Error('the service starts or stops');
      },
      database: () => database.ping(),
    };
    aside.health = await serveHealth(healthAddress, checks);
  }
  if (metricsAddress !== undefined && metrics !== undefined) {
    const pages = { '/metrics': async () => ({ status: 200, ...(await metrics.text()) }) };
    aside.metrics = await serveHttp(metricsAddress, 'RECONCILER_METRICS_ADDRESS', pages);
  }
}

function buildServer(deps: ServiceDeps, health: HealthState, metrics: CatalogMetrics | undefined): Server {
  const plain = createServer({
    'grpc.max_receive_message_length': MAX_RECEIVE_BYTES,
    'grpc.max_send_message_length': -1,
  });
  const timed = metrics === undefined ? plain : plain.use(timeCalls(metrics));
  const server = (currentTracing() === undefined ? timed : timed.use(traceCalls))
    .use(errorDetailsServerMiddleware)
    .use(errorMiddleware(deps.logger));
  addServices(server, deps);
  server.add(HealthDefinition, HealthServiceImpl(health));
  const descriptors = readDescriptorSet();
  if (descriptors) server.add(ServerReflectionService, ServerReflection(descriptors, [...SERVICE_NAMES]));
  else
    deps.logger.warn(
      'no descriptor set beside the generated code, so gRPC reflection is off; `npm run build` makes it',
    );
  return server as Server;
}

async function listen(server: Server, address: string): Promise<number> {
  try {
    return await withWideWindow(() => server.listen(address));
  } catch (cause) {
    const why = /EADDRINUSE/.test(String(cause)) ? 'the port is in use' : (cause as Error).message;
    throw new CodedError('UNAVAILABLE', `catalog service cannot listen on ${address}: ${why}; give another address`, {
      cause,
    });
  }
}

async function drain(server: Server, logger: Logger): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), DRAIN_MS);
  });
  const ended = server.shutdown();
  // A call that is cut off afterwards makes the shutdown fail; it has ended all the same.
  ended.catch(() => undefined);
  if ((await Promise.race([ended, late])) === 'late') {
    logger.warn(`calls did not end within ${DRAIN_MS} ms and are cut off`);
    server.forceShutdown();
  }
  clearTimeout(timer);
}

/** Connects to Temporal at the first use. A connection that was made here is closed here. */
function lazyJobs(jobs: CatalogOptions['jobs']) {
  if (typeof jobs !== 'function') return { get: async () => jobs, close: async () => undefined };
  let connected: Promise<JobControl> | undefined;
  return {
    get(): Promise<JobControl> {
      connected ??= jobs().catch((cause) => {
        connected = undefined;
        if (cause instanceof CodedError) throw cause;
        throw new CodedError('UNAVAILABLE', `Temporal cannot be reached: ${(cause as Error).message}`, { cause });
      });
      return connected;
    },
    async close(): Promise<void> {
      await (await connected?.catch(() => undefined))?.close();
    },
  };
}
